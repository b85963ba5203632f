# Puts the kernel's PPPoL2TP driver to work by its sockets, and dies where it does not do what it should.
#   driver.pl frames SECONDS      a tunnel of two sessions that carries frames for so long, 200 at least
#   driver.pl sessions COUNT      a tunnel of so many, each with a frame, ended by each of its sockets first
#   driver.pl datagrams DIRECTORY a session that is sent every file there, whatever it is
use strict;
use Socket;
use IO::Socket::INET;
my ($AF_PPPOX, $PX_PROTO_OL2TP, $SOL_PPPOL2TP) = (24, 1, 273);
my ($RECVSEQ, $SENDSEQ, $LNSMODE, $REORDERTO) = (2, 3, 4, 5);
my $FRAME = pack 'n C*', 0xc021, 9, 1, 0, 8, 1, 2, 3, 4;

# A PPPoX socket, connected: local and peer's tunnel id, local and peer's session id.
sub pppox {
    my ($fd, $peer, @ids) = @_;
    socket my $socket, $AF_PPPOX, SOCK_DGRAM, $PX_PROTO_OL2TP or die "socket: $!";
    my $address = pack('S L l l', $AF_PPPOX, $PX_PROTO_OL2TP, $$, $fd) . $peer . pack 'S4', @ids[0, 2, 1, 3];
    connect $socket, $address or die "connect @ids: $!";
    return $socket;
}

sub udp {
    my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die "UDP: $@";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 1 << 20 or die "SO_RCVBUF: $!";
    return $socket;
}

sub option {
    my ($socket, $option, $value) = @_;
    setsockopt $socket, $SOL_PPPOL2TP, $option, pack 'i', $value or die "option $option=$value: $!";
}

# The socket's next frame, or undef if there is none now.
sub frame {
    my ($socket) = @_;
    my $frame;
    return defined recv($socket, $frame, 65536, MSG_DONTWAIT) ? $frame : undef;
}

sub expect {
    my ($what, $is, $expected) = @_;
    $is eq $expected or die "$what: " . unpack('H*', $is // '') . ', not ' . unpack('H*', $expected);
}

# Everything that is there.
sub known {
    open my $text, '<', '/proc/net/pppol2tp' or die "/proc/net/pppol2tp: $!";
    my @lines = <$text>;
    return scalar grep /^\s*(TUNNEL|SESSION) '/, @lines;
}

sub frames {
    my ($seconds) = @_;
    my ($here, $there) = (udp(), udp());
    my @ends = ([$here, $there, 1, 2], [$there, $here, 2, 1]);
    my (@managers, @sessions);
    for (@ends) {
        my ($own, $other, @ids) = @$_;
        push @managers, pppox(fileno $own, $other->sockname, @ids, 0, 0);
        push @sessions, pppox(-1, $other->sockname, @ids, 10, 10);
    }
    option($sessions[0], $LNSMODE, 1);
    option($sessions[$_], $REORDERTO, 20) for 0, 1;
    my ($count, $end) = (0, time + $seconds);
    while ($count < 200 || time < $end) {
        option($sessions[0], $SENDSEQ, $count / 100 & 1) if $count % 100 == 0;
        for ([0, 1], [1, 0]) {
            my ($from, $to) = @sessions[@$_];
            send($from, $FRAME, 0) // die "send: $!";
            my $frame = frame($to);
            # Until the LAC follows its LNS, what it sends is dropped.
            expect('frame', $frame, $FRAME) if defined $frame || $count % 100 > 1;
        }
        $count++;
    }
    print "$count frames\n";
}

sub sessions {
    my ($count) = @_;
    for my $first ('session', 'management', 'udp') {
        my ($udp, $peer) = (udp(), udp());
        my %sockets = (udp => [$udp], management => [pppox(fileno $udp, $peer->sockname, 1, 2, 0, 0)]);
        my @sessions = map { pppox(-1, $peer->sockname, 1, 2, $_, $_) } 1 .. $count;
        $sockets{session} = \@sessions;
        die "$count sessions: " . known() if known() != 1 + $count;
        for my $id (1 .. $count) {
            $peer->send(pack('n3 n', 2, 1, $id, 0xff03) . $FRAME, 0, $udp->sockname) or die "send: $!";
            expect("frame of session $id", frame($sessions[$id - 1]), $FRAME);
        }
        undef $udp;
        for my $what ($first, 'udp', 'management', 'session') {
            @{ $sockets{$what} } = ();
        }
        die "what is left after $first: " . known() if known();
    }
    print "$count sessions\n";
}

sub datagrams {
    my ($directory) = @_;
    my ($udp, $peer) = (udp(), udp());
    my $management = pppox(fileno $udp, $peer->sockname, 1, 2, 0, 0);
    my $session = pppox(-1, $peer->sockname, 1, 2, 10, 20);
    my $count = 0;
    for my $mode (0 .. 3) {
        option($session, $RECVSEQ, $mode & 1);
        option($session, $REORDERTO, $mode & 2 ? 10 : 0);
        for my $file (glob "$directory/*") {
            open my $input, '<:raw', $file or die "$file: $!";
            my $datagram = substr join('', <$input>), 0, 65000;
            # As it is, and with the ids of the session.
            my $ours = $datagram;
            if (length $ours >= 8) {
                substr $ours, 0, 2, pack 'n', unpack('n', $ours) & 0x7ff0 | 2;
                substr $ours, unpack('n', $ours) & 0x4000 ? 4 : 2, 4, pack 'n2', 1, 10;
            }
            for ($datagram, $ours) {
                $peer->send($_, 0, $udp->sockname) // die "send: $!";
                $count++;
                1 while defined frame($session);
                1 while defined frame($udp);
            }
        }
    }
    option($session, $RECVSEQ, 0);
    option($session, $REORDERTO, 0);
    1 while defined frame($session);
    $peer->send(pack('n4', 2, 1, 10, 0xff03) . $FRAME, 0, $udp->sockname) or die "send: $!";
    expect('frame', frame($session), $FRAME);
    print "$count datagrams\n";
}

my ($what, @arguments) = @ARGV;
my %what = (frames => \&frames, sessions => \&sessions, datagrams => \&datagrams);
($what{$what} // die "frames, sessions or datagrams")->(@arguments);
