//! Data messages in every form.
#![allow(dead_code)]

/// The parts of a data message, for tests that build every form of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pub(crate) length: bool,
    pub(crate) sequence: Option<(u16, u16)>,
    pub(crate) offset: Option<u16>,
    pub(crate) priority: bool,
    pub(crate) payload: Vec<u8>,
}

impl Form {
    pub(crate) const TUNNEL: u16 = 0x1122;
    pub(crate) const SESSION: u16 = 0x3344;

    /// All 16 combinations of L, S, O and P, with 0 and 5 bytes of offset padding.
    pub(crate) fn all(payload: &[u8]) -> Vec<Self> {
        let mut forms = Vec::new();
        for bits in 0..16u8 {
            for pad in [0, 5] {
                let form = Self {
                    length: bits & 1 != 0,
                    sequence: (bits & 2 != 0).then_some((0x5566, 0x7788)),
                    offset: (bits & 4 != 0).then_some(pad),
                    priority: bits & 8 != 0,
                    payload: payload.to_vec(),
                };
                if form.offset.is_some() || pad == 0 {
                    forms.push(form);
                }
            }
        }
        forms
    }

    /// Bytes of the header, offset padding included.
    pub(crate) fn header_len(&self) -> usize {
        let length = if self.length { 2 } else { 0 };
        let sequence = if self.sequence.is_some() { 4 } else { 0 };
        let offset = self.offset.map_or(0, |pad| 2 + usize::from(pad));
        6 + length + sequence + offset
    }

    /// The datagram.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let bit = |is: bool, flag: u16| if is { flag } else { 0 };
        let flags = 2
            | bit(self.length, 0x4000)
            | bit(self.sequence.is_some(), 0x0800)
            | bit(self.offset.is_some(), 0x0200)
            | bit(self.priority, 0x0100);
        let mut words = vec![flags];
        if self.length {
            words.push((self.header_len() + self.payload.len()) as u16);
        }
        words.extend([Self::TUNNEL, Self::SESSION]);
        words.extend(self.sequence.into_iter().flat_map(|(ns, nr)| [ns, nr]));
        words.extend(self.offset);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        bytes.extend(std::iter::repeat_n(0xee, usize::from(self.offset.unwrap_or(0))));
        bytes.extend(&self.payload);
        bytes
    }
}
