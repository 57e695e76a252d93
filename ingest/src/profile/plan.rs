//! What a poll reads: registers close to each other share a request. Computed once per profile.

/// Words read by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first address.
    pub start: u16,
    /// How many words.
    pub words: u16,
}

impl Span {
    /// Whether `words` from `address` lie inside.
    #[must_use]
    pub fn holds(&self, address: u16, words: u16) -> bool {
        address >= self.start && u32::from(address) + u32::from(words) <= u32::from(self.start) + u32::from(self.words)
    }
}

/// The requests of one poll. The billing register comes first: without it there is no reading, and a device that does
/// not answer it is asked nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPlan {
    /// The request that holds the billing register.
    pub billing: Span,
    /// The others. One that fails costs its instruments, not the reading.
    pub others: Vec<Span>,
}

/// What one request may bridge and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unused words that a request may bridge.
    pub gap_words: u16,
    /// Words that a request may hold; the protocol ends at 125.
    pub request_words: u16,
}

impl ReadPlan {
    /// The requests that read `billing` and `others`.
    #[must_use]
    pub fn new(billing: Span, others: &[Span], limits: Limits) -> ReadPlan {
        let mut spans: Vec<Span> = others.iter().copied().chain([billing]).collect();
        spans.sort_by_key(|span| (span.start, span.words));
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            match merged.last_mut().and_then(|last| joined(*last, span, limits).map(|both| (last, both))) {
                Some((last, both)) => *last = both,
                None => merged.push(span),
            }
        }
        let place = merged.iter().position(|span| span.holds(billing.start, billing.words));
        let billing = place.map_or(billing, |place| merged.remove(place));
        ReadPlan { billing, others: merged }
    }
}

/// One span over both where the limits allow it; `second` does not start before `first`.
fn joined(first: Span, second: Span, limits: Limits) -> Option<Span> {
    let first_end = u32::from(first.start) + u32::from(first.words);
    let second_end = u32::from(second.start) + u32::from(second.words);
    let near = u32::from(second.start) <= first_end + u32::from(limits.gap_words);
    let words = u16::try_from(first_end.max(second_end) - u32::from(first.start)).ok()?;
    (near && words <= limits.request_words).then_some(Span { start: first.start, words })
}

/// The words that a poll brought home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    parts: Vec<(Span, Vec<u16>)>,
}

impl Snapshot {
    /// Adds the answer to the request of `span`.
    pub fn insert(&mut self, span: Span, words: Vec<u16>) {
        self.parts.push((span, words));
    }

    /// The words from `address`, where they were read.
    #[must_use]
    pub fn words(&self, address: u16, words: u16) -> Option<&[u16]> {
        let (span, read) = self.parts.iter().find(|(span, _)| span.holds(address, words))?;
        let from = usize::from(address - span.start);
        read.get(from..from + usize::from(words))
    }
}
