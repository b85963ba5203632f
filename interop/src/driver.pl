# Puts the kernel's PPPoL2TP driver to work by its sockets, and dies where it does not do what it should.
#   driver.pl frames SECONDS      a tunnel of two sessions that carries frames for so long, 200 at least
#   driver.pl sessions COUNT      a tunnel of so many, each with a frame, ended by each of its sockets first
#   driver.pl checksums           whether messages have UDP checksums, by options of the UDP socket
#   driver.pl datagrams DIRECTORY a session that is sent every file there, whatever it is
# and while messages arrive without end:
#   driver.pl loads MODULE COUNT  unloads and loads it so often, each time with a session in between
#   driver.pl orders              sessions with a PPP unit, their descriptors closed in each order
#   driver.pl namespaces COUNT    network namespaces that end with all of that in them
use strict;
use Fcntl;
use Socket qw(:DEFAULT IPPROTO_UDP inet_pton pack_sockaddr_in6);
use IO::Socket::INET;
my ($AF_PPPOX, $PX_PROTO_OL2TP, $SOL_PPPOL2TP) = (24, 1, 273);
my ($RECVSEQ, $SENDSEQ, $LNSMODE, $REORDERTO) = (2, 3, 4, 5);
my ($PPPIOCGCHAN, $PPPIOCATTCHAN, $PPPIOCNEWUNIT, $PPPIOCCONNECT) = (0x80047437, 0x40047438, 0xc004743e, 0x4004743a);
my ($SIOCSIFFLAGS, $IFF_UP, $CLONE_NEWNET) = (0x8914, 1, 0x40000000);
my ($SO_NO_CHECK, $UDP_NO_CHECK6_TX) = (11, 101);
my %syscall = (delete_module => 176, finit_module => 313, unshare => 272);
# Where messages arrive without end.
my $PORT = 1701;
my $FRAME = pack 'n C*', 0xc021, 9, 1, 0, 8, 1, 2, 3, 4;

# A PPPoX socket, connected: local and peer's tunnel id, local and peer's session id.
sub pppox {
    my ($fd, $peer, @ids) = @_;
    socket my $socket, $AF_PPPOX, SOCK_DGRAM, $PX_PROTO_OL2TP or die "socket: $!";
    my $address = pack 'S L l l', $AF_PPPOX, $PX_PROTO_OL2TP, $$, $fd;
    my $ids = pack 'S4', @ids[0, 2, 1, 3];
    $address .= sockaddr_family($peer) == AF_INET6 ? $ids . $peer : $peer . $ids;
    connect $socket, $address or die "connect @ids: $!";
    return $socket;
}

sub udp {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $port) or die "UDP: $@";
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

# The UDP checksum of a session's frame, as the network gets it.
sub checksum {
    my ($ipv6, $no_check, $no_check6) = @_;
    my ($family, $name) = $ipv6 ? (AF_INET6, pack_sockaddr_in6(0, inet_pton(AF_INET6, '::1')))
        : (AF_INET, pack_sockaddr_in(0, inet_aton('127.0.0.1')));
    my @sockets;
    for my $n (0, 1) {
        socket $sockets[$n], $family, SOCK_DGRAM, 0 or die "socket: $!";
        bind $sockets[$n], $name or die "bind: $!";
    }
    my ($udp, $peer) = @sockets;
    setsockopt $udp, SOL_SOCKET, $SO_NO_CHECK, pack 'i', $no_check or die "SO_NO_CHECK: $!";
    setsockopt $udp, IPPROTO_UDP, $UDP_NO_CHECK6_TX, pack 'i', $no_check6 or die "UDP_NO_CHECK6_TX: $!";
    my $management = pppox(fileno $udp, getsockname $peer, 1, 2, 0, 0);
    my $session = pppox(-1, getsockname $peer, 1, 2, 10, 20);
    socket my $raw, $family, SOCK_RAW, IPPROTO_UDP or die "socket: $!";
    send($session, $FRAME, 0) // die "send: $!";
    # With its IPv4 header, without an IPv6 one.
    my $message = substr frame($raw) // die('nothing was sent'), $ipv6 ? 0 : 20;
    expect('frame', substr($message, -length $FRAME), $FRAME);
    return unpack 'x6n', $message;
}

sub checksums {
    # IPv6, SO_NO_CHECK, UDP_NO_CHECK6_TX; whether there is one.
    for ([0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 1], [1, 0, 1, 0]) {
        my $has = pop @$_;
        my $checksum = checksum(@$_);
        die "@$_: $checksum" if $has != ($checksum != 0);
    }
    print "6 checksums\n";
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

# Messages for session 10 of tunnel 1 at $PORT, numbered and not, LCP and IPv4, and others, from a process of its own.
# Returns that, and the address that they come from.
sub storm {
    my $from = udp();
    my $parent = $$;
    my $child = fork // die "fork: $!";
    return ($child, $from->sockname) if $child;
    my $to = pack_sockaddr_in($PORT, INADDR_LOOPBACK);
    my $packet = pack('n n', 0xff03, 0x21) . pack('C2 n3 C2 n a4 a4', 0x45, 0, 20, 1, 0, 64, 253, 0, "\12\0\0\2", "\12\0\0\1");
    my @ids = (1, 10);
    for (my $ns = 0; getppid == $parent; $ns = $ns + 1 & 0xffff) {
        $from->send($_, 0, $to) for
            pack('n3', 2, @ids) . $FRAME,
            # Out of order, by twos.
            pack('n5 n', 0x0802, @ids, $ns ^ 1, 0, 0xff03) . $FRAME,
            pack('n3', 2, @ids) . $packet,
            pack('n3', 2, 1, 11) . $FRAME,
            pack('n6', 0xc802, 12, 1, 0, $ns, 0);
        # Who looks shall see what is whole.
        open my $text, '<', '/proc/net/pppol2tp' or next;
        () = <$text>;
    }
    exit;
}

sub number {
    my ($handle, $request, $value) = @_;
    $value = pack 'i', $value;
    ioctl $handle, $request, $value or die sprintf 'ioctl %x: %s', $request, $!;
    return unpack 'i', $value;
}

# A tunnel and its session 10 at $PORT, with a unit of PPP that is up if it is asked for.
sub descriptors {
    my ($peer, $unit) = @_;
    my %fds = (udp => udp($PORT));
    $fds{management} = pppox(fileno $fds{udp}, $peer, 1, 2, 0, 0);
    $fds{session} = pppox(-1, $peer, 1, 2, 10, 20);
    option($fds{session}, $REORDERTO, 10);
    return \%fds unless $unit;
    my $index = number($fds{session}, $PPPIOCGCHAN, 0);
    for ('channel', 'unit') {
        sysopen $fds{$_}, '/dev/ppp', O_RDWR | O_NONBLOCK or die "/dev/ppp: $!";
    }
    number($fds{channel}, $PPPIOCATTCHAN, $index);
    my $number = number($fds{unit}, $PPPIOCNEWUNIT, -1);
    number($fds{channel}, $PPPIOCCONNECT, $number);
    up("ppp$number");
    return \%fds;
}

sub up {
    my ($name) = @_;
    socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
    my $request = pack 'a16 s x22', $name, $IFF_UP;
    ioctl $socket, $SIOCSIFFLAGS, $request or die "$name up: $!";
}

# A channel's next frame of LCP, or undef if there is none now.
sub control {
    my ($channel) = @_;
    my $frame;
    return sysread($channel, $frame, 2000) ? $frame : undef;
}

# Waits for a frame of the storm's, and sends some.
sub works {
    my ($fds) = @_;
    my $end = $fds->{channel} // $fds->{session};
    my ($ready, $frame) = '';
    do {
        vec($ready, fileno $end, 1) = 1;
        select($ready, undef, undef, 60) > 0 or die 'no frame';
        $frame = $fds->{channel} ? control($end) : frame($end);
    } until length $frame;
    $frame eq $FRAME || $frame =~ /^\0\x21/ or die 'frame: ' . unpack 'H*', $frame;
    return send($end, $FRAME, 0) // die "send: $!" unless $fds->{channel};
    syswrite $fds->{$_}, $FRAME or die "$_: $!" for 'channel', 'unit';
}

sub permutations {
    return [] unless @_;
    return map { my $at = $_; map [$_[$at], @$_], permutations(@_[grep $_ != $at, 0 .. $#_]) } 0 .. $#_;
}

# What has ended is gone a grace period later.
sub unload {
    my $end = time + 60;
    until (syscall($syscall{delete_module}, my $name = 'pppol2tp', O_NONBLOCK) == 0) {
        die "rmmod: $!" if time > $end;
        select undef, undef, undef, 0.001;
    }
}

sub loads {
    my ($file, $count) = @_;
    my ($storm, $peer) = storm();
    my @orders = permutations('udp', 'management', 'session');
    open my $module, '<', $file or die "$file: $!";
    for my $round (1 .. $count) {
        my $fds = descriptors($peer);
        works($fds);
        delete $fds->{$_} for @{ $orders[$round % @orders] };
        unload();
        syscall($syscall{finit_module}, fileno $module, my $none = '', 0) == 0 or die "insmod $file: $!";
    }
    kill 'KILL', $storm;
    print "$count loads\n";
}

sub orders {
    my ($storm, $peer) = storm();
    my @orders = permutations('udp', 'management', 'session', 'channel', 'unit');
    for my $order (@orders) {
        my $fds = descriptors($peer, 1);
        works($fds);
        delete $fds->{$_} for @$order;
        die "what is left after @$order: " . known() if known();
    }
    kill 'KILL', $storm;
    printf "%d orders\n", scalar @orders;
}

sub namespaces {
    my ($count) = @_;
    for (1 .. $count) {
        my $child = fork // die "fork: $!";
        if (!$child) {
            syscall($syscall{unshare}, $CLONE_NEWNET) == 0 or die "unshare: $!";
            up('lo');
            my ($storm, $peer) = storm();
            works(descriptors($peer, 1));
            exit;
        }
        waitpid $child, 0;
        die 'it failed' if $?;
    }
    print "$count namespaces\n";
}

my ($what, @arguments) = @ARGV;
my %what = (
    frames => \&frames, sessions => \&sessions, checksums => \&checksums, datagrams => \&datagrams,
    loads => \&loads, orders => \&orders, namespaces => \&namespaces,
);
($what{$what} // die 'what?')->(@arguments);
