//! Frames and events that wait for the caller.

use std::collections::VecDeque;

use zeroize::{Zeroize, Zeroizing};

use super::event::Event;
use super::packet::Packet;
use super::protocol::Protocol;

/// More frames than one call can make; who does not fetch them loses what is beyond, as on a bad line.
const FRAMES: usize = 64;

/// What waits for the caller. Takes no memory while nothing does. Frames may have a password in them: what was
/// fetched is wiped, here and, with the next call, at the caller's.
#[derive(Default)]
pub(crate) struct Output {
    frames: VecDeque<Zeroizing<Vec<u8>>>,
    events: VecDeque<Event>,
    pub(crate) transmitted: u32,
    pub(crate) overrun: u32,
}

impl Output {
    pub(crate) fn send(&mut self, protocol: Protocol, packet: &Packet<'_>) {
        self.send_frame(packet.frame(protocol));
    }

    pub(crate) fn send_frame(&mut self, frame: Vec<u8>) {
        if self.frames.len() < FRAMES {
            self.frames.push_back(frame.into());
            self.transmitted = self.transmitted.wrapping_add(1);
        } else {
            self.overrun = self.overrun.wrapping_add(1);
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn next_frame(&mut self, out: &mut Vec<u8>) -> bool {
        out.zeroize();
        match self.frames.pop_front() {
            Some(frame) => out.extend_from_slice(&frame),
            None => self.frames = VecDeque::new(),
        }
        !out.is_empty()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.events = VecDeque::new();
        }
        event
    }
}
