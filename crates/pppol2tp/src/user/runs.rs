//! Runs: datagrams that stand one behind the other in the arena, go to the same tunnel and have
//! equal sizes (the last may be shorter), so that one message carries them (`UDP_SEGMENT`).
//! Frames join in the order they came; nothing is put off to make a run longer.

/// The kernel's bound of datagrams in one message (`UDP_MAX_SEGMENTS`),
pub(super) const MAX_FRAMES: u16 = 128;
/// and that of older kernels.
pub(super) const OLD_MAX_FRAMES: u16 = 64;
/// Bytes of one message: a UDP datagram's bound less room for headers.
const MAX_BYTES: usize = 65_000;

/// Frames of one session, one behind the other, as [`Runs::push`] takes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub(super) tunnel: u32,
    pub(super) session: u32,
    /// Where the first one starts in the arena.
    pub(super) start: usize,
    pub(super) count: usize,
    /// Size of all but the last.
    pub(super) size: usize,
    /// Size of the last.
    pub(super) last: usize,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) tunnel: u32,
    /// A session of the tunnel.
    pub(super) session: u32,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) size: usize,
    pub(super) count: usize,
    open: bool,
    /// Where its groups start.
    groups: usize,
}

/// Frames of a run that belong to one session, for its counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) session: u32,
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

/// Room for the runs of any usual batch; more of them make it grow once.
const ROOM: usize = 1024;

/// The runs of one batch.
pub(super) struct Runs {
    runs: Vec<Run>,
    groups: Vec<Group>,
}

impl Runs {
    pub(super) fn new() -> Self {
        Self { runs: Vec::with_capacity(ROOM), groups: Vec::with_capacity(ROOM) }
    }

    /// Appends frames. Their socket takes `max` a message.
    #[inline]
    pub(super) fn push(&mut self, frames: Frames, max: u16) {
        let Frames { tunnel, session, mut start, mut count, size, last } = frames;
        let max = usize::from(max);
        while count > 0 {
            let head = if count == 1 { last } else { size };
            let joins = |run: &&mut Run| {
                run.open
                    && run.tunnel == tunnel
                    && run.end == start
                    && head <= run.size
                    && run.count < max
                    && run.end - run.start + head <= MAX_BYTES
            };
            if self.runs.last_mut().as_ref().is_none_or(|run| !joins(run)) {
                let groups = self.groups.len();
                self.runs.push(Run {
                    tunnel,
                    session,
                    start,
                    end: start,
                    size: head,
                    count: 0,
                    open: true,
                    groups,
                });
            }
            let Some(run) = self.runs.last_mut() else { return };
            let room = (MAX_BYTES - (run.end - run.start)) / head.max(1);
            let joining = if head == run.size { count.min(max - run.count).min(room).max(1) } else { 1 };
            let all = joining == count;
            let bytes = if all { (joining - 1) * size + last } else { joining * size };
            run.open = head == run.size && (!all || last == run.size);
            run.end += bytes;
            run.count += joining;
            start += bytes;
            count -= joining;
            let (frames, bytes) = (joining as u64, bytes as u64);
            match self.groups[run.groups..].last_mut() {
                Some(group) if group.session == session => {
                    group.frames += frames;
                    group.bytes += bytes;
                }
                _ => self.groups.push(Group { session, frames, bytes }),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.groups.clear();
    }

    pub(super) fn get(&self) -> &[Run] {
        &self.runs
    }

    /// Whose frames a run carries, in order.
    pub(super) fn groups(&self, run: usize) -> &[Group] {
        let end = self.runs.get(run + 1).map_or(self.groups.len(), |next| next.groups);
        &self.groups[self.runs[run].groups..end]
    }
}
