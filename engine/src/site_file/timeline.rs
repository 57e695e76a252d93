//! What holds from when to when: the file's stretches against the book's. One set of rules for contracts and
//! installations (and their words in the faults).

use kernel::time::Moment;

/// A stretch in the book.
#[derive(Clone, Debug)]
pub(super) struct Old<T> {
    pub(super) from: Moment,
    pub(super) to: Option<Moment>,
    pub(super) terms: T,
}

/// A stretch in the file.
#[derive(Clone, Debug)]
pub(super) struct New<T> {
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) correct: bool,
    pub(super) terms: T,
}

/// What is to be done. Numbers are places in the lists of old and new stretches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The book says the same.
    Keep { old: usize, new: usize },
    /// The old one ends, because the new one (the same or its successor) says so.
    End { old: usize, at: Moment, new: usize },
    /// A new one begins; what it corrects was never so.
    Create { new: usize, from: Moment, to: Option<Moment>, supersedes: Vec<usize> },
}

/// Why the file's stretches are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What a stretch says changed, without a word from when.
    Changed { new: usize, what: String },
    /// It ended in the book, and the file does not say so.
    Ended { new: usize, at: Moment },
    /// It ends at another time than in the book.
    OtherEnd { new: usize, was: Moment },
    /// It begins before something that the book has, or within it.
    Overlap { new: usize, old: usize },
    /// It overlaps the file's next one.
    OverlapsNext { new: usize },
    /// One of several stretches does not say when it begins.
    NoFrom { new: usize },
    /// The book has it, the file has nothing for it.
    Missing { old: usize },
}

/// Compares; `differs` says in words how the terms changed.
pub(super) fn compare<T>(
    old: &[Old<T>],
    new: &[New<T>],
    default_from: Moment,
    differs: impl Fn(&Old<T>, &New<T>) -> Option<String>,
) -> (Vec<Step>, Vec<Refusal>) {
    let mut refusals = Vec::new();
    // Where each new one begins, and the old one that it continues.
    let mut placed: Vec<(usize, Moment, Option<usize>)> = Vec::new();
    for (index, stretch) in new.iter().enumerate() {
        let continued = match stretch.from {
            Some(from) => old.iter().position(|other| other.from == from),
            None if new.len() == 1 => old.len().checked_sub(1),
            None if index == 0 => (!old.is_empty()).then_some(0),
            None => {
                refusals.push(Refusal::NoFrom { new: index });
                continue;
            }
        };
        let from = stretch.from.or(continued.map(|place| old[place].from)).unwrap_or(default_from);
        placed.push((index, from, continued));
    }
    placed.sort_by_key(|(_, from, _)| *from);
    let mut steps = Vec::new();
    let mut touched = vec![false; old.len()];
    let continued: Vec<usize> = placed.iter().filter_map(|(_, _, continued)| *continued).collect();
    for (place, &(index, from, continued_old)) in placed.iter().enumerate() {
        let stretch = &new[index];
        let next = placed.get(place + 1).map(|(_, from, _)| *from);
        let until = stretch.until.or(next);
        if next.is_some_and(|next| next <= from || until.is_some_and(|until| until > next)) {
            refusals.push(Refusal::OverlapsNext { new: index });
        }
        if let Some(place) = continued_old {
            touched[place] = true;
            let step = continue_old(&old[place], stretch, (place, index), until, differs(&old[place], stretch));
            match step {
                Ok(step) => steps.push(step),
                Err(refusal) => refusals.push(refusal),
            }
            continue;
        }
        let mut supersedes = Vec::new();
        for (place, other) in old.iter().enumerate().filter(|(place, _)| !continued.contains(place)) {
            let overlaps = other.to.is_none_or(|to| to > from) && until.is_none_or(|until| other.from < until);
            match overlaps {
                false => {}
                true if other.from < from && (other.to.is_none() || stretch.correct) => {
                    touched[place] = true;
                    steps.push(Step::End { old: place, at: from, new: index });
                }
                true if stretch.correct => {
                    touched[place] = true;
                    supersedes.push(place);
                }
                true => {
                    touched[place] = true;
                    refusals.push(Refusal::Overlap { new: index, old: place });
                }
            }
        }
        // A continued one that runs on without end is ended where its successor begins: its own `until` says so.
        steps.push(Step::Create { new: index, from, to: until, supersedes });
    }
    let missing = (0..old.len()).filter(|place| !touched[*place] && old[*place].to.is_none());
    refusals.extend(missing.map(|old| Refusal::Missing { old }));
    (steps, refusals)
}

fn continue_old<T>(
    old: &Old<T>,
    stretch: &New<T>,
    (place, index): (usize, usize),
    until: Option<Moment>,
    difference: Option<String>,
) -> Result<Step, Refusal> {
    let corrected = Step::Create { new: index, from: old.from, to: until, supersedes: vec![place] };
    match (difference, old.to, until) {
        (None, was, until) if was == until => Ok(Step::Keep { old: place, new: index }),
        (None, None, Some(at)) => Ok(Step::End { old: place, at, new: index }),
        _ if stretch.correct => Ok(corrected),
        (Some(what), _, _) => Err(Refusal::Changed { new: index, what }),
        (None, Some(at), None) => Err(Refusal::Ended { new: index, at }),
        (None, Some(was), Some(_)) => Err(Refusal::OtherEnd { new: index, was }),
        (None, None, None) => Ok(Step::Keep { old: place, new: index }),
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
