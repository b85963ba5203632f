# Makes the kernel's tunnel on another process's UDP socket, as its tunnel management socket does, and holds
# it. Arguments: the process id, the tunnel id.
use strict;
my ($pid, $tunnel) = @ARGV;
my ($PIDFD_OPEN, $PIDFD_GETFD, $AF_PPPOX, $SOCK_DGRAM, $PX_PROTO_OL2TP) = (434, 438, 24, 2, 1);

open my $table, '<', '/proc/net/udp' or die "/proc/net/udp: $!";
my %udp = map { 'socket:[' . (split)[9] . ']' => 1 } <$table>;
my ($number) = grep { $udp{readlink "/proc/$pid/fd/$_"} } map { s{.*/}{}r } glob "/proc/$pid/fd/*";
defined $number or die "$pid has no UDP socket";
my $process = syscall $PIDFD_OPEN, $pid + 0, 0;
my $fd = syscall $PIDFD_GETFD, $process, $number + 0, 0;
$fd >= 0 or die "pidfd_getfd: $!";

# struct sockaddr_pppol2tp: session 0 stands for the tunnel.
socket my $management, $AF_PPPOX, $SOCK_DGRAM, $PX_PROTO_OL2TP or die "socket: $!";
my $address = pack 'S L l l x16 S4', $AF_PPPOX, $PX_PROTO_OL2TP, 0, $fd, $tunnel, 0, 0, 0;
connect $management, $address or die "connect: $!";
$| = 1;
print "tunnel $tunnel\n";
sleep;
