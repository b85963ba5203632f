# Becomes a command whose standard input and output are one connection and whose standard error is another; or, if
# there is a size, a terminal's rows and columns, runs it at a terminal of that size, which the first connection is.
# Arguments: address and port to connect to, size, the command.
use strict;
use POSIX ();
use Socket;
my ($host, $port, $size, @command) = @ARGV;
my ($TIOCSPTLCK, $TIOCGPTN, $TIOCSCTTY, $TIOCSWINSZ) = (0x40045431, 0x80045430, 0x540e, 0x5414);

sub dial {
    socket my $connection, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    connect $connection, pack_sockaddr_in($port, inet_aton($host)) or die "connect: $!";
    return $connection;
}

sub become {
    my ($data, $errors) = @_;
    open STDIN, '<&', $data or die "standard input: $!";
    open STDOUT, '>&', $data or die "standard output: $!";
    open STDERR, '>&', $errors or die "standard error: $!";
    exec { $command[0] } @command or syswrite STDERR, "$command[0]: $!\n";
    POSIX::_exit(127);
}

my ($data, $errors) = (dial(), dial());
$| = 1;
print "relay: connected\n";
become($data, $errors) if $size eq '';

mkdir '/dev/pts';
system('mount', '-t', 'devpts', 'devpts', '/dev/pts') == 0 or die 'no devpts';
open my $terminal, '+<', '/dev/ptmx' or die "/dev/ptmx: $!";
my ($unlocked, $number, $window) = (pack('i', 0), pack('i', 0), pack('S4', split(/ /, $size), 0, 0));
ioctl $terminal, $TIOCSPTLCK, $unlocked or die "TIOCSPTLCK: $!";
ioctl $terminal, $TIOCGPTN, $number or die "TIOCGPTN: $!";
ioctl $terminal, $TIOCSWINSZ, $window or die "TIOCSWINSZ: $!";
my $child = fork // die "fork: $!";
if (!$child) {
    POSIX::setsid();
    open my $end, '+<', '/dev/pts/' . unpack 'i', $number or die "terminal: $!";
    ioctl $end, $TIOCSCTTY, 0 or die "TIOCSCTTY: $!";
    become($end, $end);
}
my %other = (fileno $data => $terminal, fileno $terminal => $data);
while (1) {
    my $ready = '';
    vec($ready, $_, 1) = 1 for keys %other;
    select $ready, undef, undef, undef;
    for my $from (grep { vec($ready, fileno $_, 1) } $data, $terminal) {
        # A terminal that nobody has open any more fails.
        my $len = sysread $from, my $bytes, 4096 or goto END;
        syswrite $other{fileno $from}, $bytes;
    }
}
END: waitpid $child, 0;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
