use super::*;

const START: i64 = 100;

fn old(list: &[Book]) -> Vec<Old<&'static str>> {
    list.iter().map(|&(from, to, terms)| Old { from: Moment(from), to: to.map(Moment), terms }).collect()
}

type Book = (i64, Option<i64>, &'static str);
type File = (Option<i64>, Option<i64>, bool, &'static str);

fn new(list: &[File]) -> Vec<New<&'static str>> {
    let stretch = |&(from, until, correct, terms): &File| New {
        from: from.map(Moment),
        until: until.map(Moment),
        correct,
        terms,
    };
    list.iter().map(stretch).collect()
}

/// What the book would hold, or the refusals.
fn apply(book: &[Book], file: &[File]) -> Result<Vec<Book>, Vec<Refusal>> {
    let (olds, news) = (old(book), new(file));
    let differs = |old: &Old<&str>, new: &New<&str>| (old.terms != new.terms).then(|| "terms".to_owned());
    let (steps, refusals) = compare(&olds, &news, Moment(START), differs);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut result: Vec<Option<Book>> = book.iter().copied().map(Some).collect();
    for step in steps {
        match step {
            Step::Keep { .. } => {}
            Step::End { old, at, .. } => {
                if let Some(stretch) = &mut result[old] {
                    stretch.1 = Some(at.0);
                }
            }
            Step::Create { new, from, to, supersedes } => {
                supersedes.into_iter().for_each(|old| result[old] = None);
                result.push(Some((from.0, to.map(|to| to.0), news[new].terms)));
            }
        }
    }
    let mut result: Vec<_> = result.into_iter().flatten().collect();
    result.sort_unstable();
    Ok(result)
}

#[test]
fn the_book_is_brought_to_the_file_and_a_second_time_changes_nothing() {
    let (none, open) = (None::<i64>, None::<i64>);
    for (book, file, expected) in [
        // New, with and without a start.
        (vec![], vec![(None, open, false, "a")], vec![(START, open, "a")]),
        (vec![], vec![(Some(7), open, false, "a")], vec![(7, open, "a")]),
        // A history that is applied at once: each ends where the next begins.
        (
            vec![],
            vec![(none, open, false, "a"), (Some(200), open, false, "b")],
            vec![(START, Some(200), "a"), (200, open, "b")],
        ),
        // Nothing to do.
        (vec![(5, open, "a")], vec![(None, open, false, "a")], vec![(5, open, "a")]),
        (vec![(5, open, "a")], vec![(Some(5), open, false, "a")], vec![(5, open, "a")]),
        // A change from a moment on, written over the old one.
        (vec![(5, open, "a")], vec![(Some(9), open, false, "b")], vec![(5, Some(9), "a"), (9, open, "b")]),
        // An end; and a new one after an end.
        (vec![(5, open, "a")], vec![(None, Some(9), false, "a")], vec![(5, Some(9), "a")]),
        (vec![(5, Some(9), "a")], vec![(Some(12), open, false, "b")], vec![(5, Some(9), "a"), (12, open, "b")]),
        // It was always so; it began earlier; it began later.
        (vec![(5, open, "a")], vec![(None, open, true, "b")], vec![(5, open, "b")]),
        (vec![(5, open, "a")], vec![(Some(3), open, true, "a")], vec![(3, open, "a")]),
        (vec![(5, Some(9), "a"), (9, open, "b")], vec![(Some(3), open, true, "c")], vec![(3, open, "c")]),
        (
            vec![(5, Some(9), "a"), (9, open, "b")],
            vec![(Some(7), open, true, "c")],
            vec![(5, Some(7), "a"), (7, open, "c")],
        ),
        (vec![(5, Some(9), "a")], vec![(None, open, true, "a")], vec![(5, open, "a")]),
        (vec![(5, Some(9), "a")], vec![(Some(5), Some(8), true, "a")], vec![(5, Some(8), "a")]),
    ] {
        assert_eq!(apply(&book, &file).as_ref(), Ok(&expected), "{book:?} {file:?}");
        assert_eq!(apply(&expected, &file), Ok(expected), "again: {book:?} {file:?}");
    }
}

#[test]
fn what_is_not_said_clearly_is_refused() {
    let open = None::<i64>;
    for (book, file, expected) in [
        (vec![(5, open, "a")], vec![(None, open, false, "b")], Refusal::Changed { new: 0, what: "terms".to_owned() }),
        (
            vec![(5, open, "a")],
            vec![(Some(5), open, false, "b")],
            Refusal::Changed { new: 0, what: "terms".to_owned() },
        ),
        (vec![(5, open, "a")], vec![(Some(3), open, false, "b")], Refusal::Overlap { new: 0, old: 0 }),
        (vec![(5, Some(9), "a")], vec![(Some(7), open, false, "b")], Refusal::Overlap { new: 0, old: 0 }),
        (vec![(5, Some(9), "a")], vec![(None, open, false, "a")], Refusal::Ended { new: 0, at: Moment(9) }),
        (vec![(5, Some(9), "a")], vec![(None, Some(8), false, "a")], Refusal::OtherEnd { new: 0, was: Moment(9) }),
        (vec![(5, open, "a")], vec![], Refusal::Missing { old: 0 }),
        (vec![(5, open, "a")], vec![(Some(1), Some(5), false, "b")], Refusal::Missing { old: 0 }),
        (vec![], vec![(Some(1), Some(5), false, "a"), (Some(4), open, false, "b")], Refusal::OverlapsNext { new: 0 }),
        (vec![], vec![(Some(1), open, false, "a"), (None, open, false, "b")], Refusal::NoFrom { new: 1 }),
    ] {
        assert_eq!(apply(&book, &file), Err(vec![expected]), "{book:?} {file:?}");
    }
}
