//! `ioctl`: every request on every kind of socket.

mod common;

use l2tp_data::id::SessionId;
use l2tp_data::rules::*;

const MANAGEMENT: Socket = Socket::Connected(Target::Management);
const SESSION: Socket = Socket::Connected(Target::Session);
const DEAD_MANAGEMENT: Socket = Socket::Dead(Target::Management);
const DEAD_SESSION: Socket = Socket::Dead(Target::Session);
const UNKNOWN: u32 = 0x1234_5678;

/// The tunnel has session 5.
fn decides(socket: Socket, request: u32, argument: Option<i32>, expected: Result<Action, Errno>) {
    let has_session = |id: SessionId| id.get() == 5;
    assert_eq!(ioctl(socket, request, argument, has_session), expected);
}

rows! { decides:
    gchan => (SESSION, PPPIOCGCHAN, None, Ok(Action::Channel));
    gchan_not_connected => (Socket::New, PPPIOCGCHAN, None, Err(Errno::NotConn));
    gchan_management => (MANAGEMENT, PPPIOCGCHAN, None, Err(Errno::NotConn));
    gchan_dead_session => (DEAD_SESSION, PPPIOCGCHAN, None, Err(Errno::NotConn));
    gchan_dead_management => (DEAD_MANAGEMENT, PPPIOCGCHAN, None, Err(Errno::NotConn));
    gchan_closed => (Socket::Closed, PPPIOCGCHAN, None, Err(Errno::NotConn));

    session_gifmtu => (SESSION, SIOCGIFMTU, None, Ok(Action::GetMtu));
    session_sifmtu => (SESSION, SIOCSIFMTU, Some(1400), Ok(Action::SetMtu(1400)));
    session_sifmtu_fault => (SESSION, SIOCSIFMTU, None, Err(Errno::Fault));
    session_gmru => (SESSION, PPPIOCGMRU, None, Ok(Action::GetMru));
    session_smru => (SESSION, PPPIOCSMRU, Some(1492), Ok(Action::SetMru(1492)));
    session_smru_fault => (SESSION, PPPIOCSMRU, None, Err(Errno::Fault));
    session_gflags => (SESSION, PPPIOCGFLAGS, None, Ok(Action::GetFlags));
    session_sflags => (SESSION, PPPIOCSFLAGS, Some(-1), Ok(Action::SetFlags(-1)));
    session_sflags_fault => (SESSION, PPPIOCSFLAGS, None, Err(Errno::Fault));
    session_stats => (SESSION, PPPIOCGL2TPSTATS, None, Ok(Action::Stats));
    session_stats_ignore_the_ids => (SESSION, PPPIOCGL2TPSTATS, Some(6), Ok(Action::Stats));
    session_other => (SESSION, UNKNOWN, None, Err(Errno::NoSys));

    management_stats_of_the_tunnel => (MANAGEMENT, PPPIOCGL2TPSTATS, Some(0), Ok(Action::TunnelStats));
    management_stats_of_a_session => (
        MANAGEMENT, PPPIOCGL2TPSTATS, Some(5), Ok(Action::StatsOf(SessionId::new(5).unwrap())));
    management_stats_of_no_session => (MANAGEMENT, PPPIOCGL2TPSTATS, Some(6), Err(Errno::BadR));
    management_stats_fault => (MANAGEMENT, PPPIOCGL2TPSTATS, None, Err(Errno::Fault));
    management_gifmtu => (MANAGEMENT, SIOCGIFMTU, Some(0), Err(Errno::NoSys));
    management_sifmtu => (MANAGEMENT, SIOCSIFMTU, Some(0), Err(Errno::NoSys));
    management_gmru => (MANAGEMENT, PPPIOCGMRU, Some(0), Err(Errno::NoSys));
    management_smru => (MANAGEMENT, PPPIOCSMRU, Some(0), Err(Errno::NoSys));
    management_gflags => (MANAGEMENT, PPPIOCGFLAGS, Some(0), Err(Errno::NoSys));
    management_sflags => (MANAGEMENT, PPPIOCSFLAGS, Some(0), Err(Errno::NoSys));
    management_other => (MANAGEMENT, UNKNOWN, None, Err(Errno::NoSys));

    not_connected => (Socket::New, PPPIOCGL2TPSTATS, Some(0), Err(Errno::NotConn));
    not_connected_comes_before_the_fault => (Socket::New, PPPIOCSMRU, None, Err(Errno::NotConn));
    not_connected_other => (Socket::New, UNKNOWN, None, Err(Errno::NotConn));
    dead_session => (DEAD_SESSION, PPPIOCGL2TPSTATS, None, Err(Errno::NotConn));
    dead_management => (DEAD_MANAGEMENT, PPPIOCGL2TPSTATS, Some(0), Err(Errno::BadF));
    dead_management_comes_before_the_fault => (DEAD_MANAGEMENT, PPPIOCGL2TPSTATS, None, Err(Errno::BadF));
    closed => (Socket::Closed, PPPIOCGMRU, None, Err(Errno::BadF));
}

fn faults(action: Action, errno: Errno) {
    assert_eq!(action.fault(), errno);
}

rows! { faults:
    fault_of_channel => (Action::Channel, Errno::Inval);
    fault_of_session_stats => (Action::Stats, Errno::NxIo);
    fault_of_tunnel_stats => (Action::TunnelStats, Errno::Fault);
    fault_of_stats_of_a_session => (Action::StatsOf(SessionId::new(5).unwrap()), Errno::Fault);
    fault_of_mtu => (Action::GetMtu, Errno::Fault);
    fault_of_mru => (Action::GetMru, Errno::Fault);
    fault_of_flags => (Action::GetFlags, Errno::Fault);
}

/// The numbers that C programs are compiled with, on x86 and Arm.
fn is(request: u32, number: u32) {
    assert_eq!(request, number);
}

rows! { is:
    number_of_stats => (PPPIOCGL2TPSTATS, 0x8048_7436);
    number_of_gchan => (PPPIOCGCHAN, 0x8004_7437);
    number_of_smru => (PPPIOCSMRU, 0x4004_7452);
    number_of_gmru => (PPPIOCGMRU, 0x8004_7453);
    number_of_sflags => (PPPIOCSFLAGS, 0x4004_7459);
    number_of_gflags => (PPPIOCGFLAGS, 0x8004_745a);
}
