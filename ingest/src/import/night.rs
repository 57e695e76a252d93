//! The night on which the clocks are turned back: which of its doubled hours came first.
//!
//! A wall time in the fold means two instants, and only the order of the meter's rows can tell. The rows of the fold are
//! therefore held until the meter's next row outside it, and then decided together, or not at all: a guess would move
//! energy into another hour.

use super::zone::Fold;

/// Rows of one meter that one fold may hold: every second of two hours, four times over.
pub(super) const HELD_MAX: usize = 28_800;

/// How the meter's rows run through the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Earlier rows first.
    Forward,
    /// Later rows first.
    Backward,
}

/// The direction in which rows pass the fold, told by the rows before and after it; `None` when these contradict each
/// other. Without neighbours a file runs forward.
pub(super) fn direction(fold: Fold, before: Option<i64>, after: Option<i64>) -> Option<Direction> {
    let earlier = |wall: i64| wall < fold.start;
    match (before.map(earlier), after.map(earlier)) {
        (Some(true) | None, Some(false) | None) => Some(Direction::Forward),
        (Some(false) | None, Some(true)) | (Some(false), None) => Some(Direction::Backward),
        (Some(_), Some(_)) => None,
    }
}

/// For each wall time of a fold, in the file's order: whether it is the later instant. `None` when that cannot be told.
///
/// Told by the clock going back once (02:00 02:30 02:00 02:30), or by every time being there exactly twice in sorted
/// order (02:00 02:00 02:30 02:30, the first of each the earlier). A single pass could be either hour.
pub(super) fn later(walls: &[i64], direction: Direction) -> Option<Vec<bool>> {
    let mut walls = walls.to_vec();
    if direction == Direction::Backward {
        walls.reverse();
    }
    let turns: Vec<usize> = (1..walls.len()).filter(|&row| walls[row] <= walls[row - 1]).collect();
    let mut later: Vec<bool> = match turns[..] {
        [] => return None,
        [turn] => (0..walls.len()).map(|row| row >= turn).collect(),
        _ => {
            let pairs = walls.chunks(2).all(|pair| matches!(pair, [a, b] if a == b));
            let rising = walls.iter().step_by(2).is_sorted_by(|a, b| a < b);
            if !pairs || !rising {
                return None;
            }
            (0..walls.len()).map(|row| row % 2 == 1).collect()
        }
    };
    if direction == Direction::Backward {
        later.reverse();
    }
    Some(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_rows_tells_the_two_hours_apart_or_nothing_is_told() {
        use Direction::{Backward, Forward};
        type Case = (&'static [i64], Direction, Option<&'static [u8]>);
        let cases: [Case; 12] = [
            (&[200, 200], Forward, Some(&[0, 1])),
            (&[200, 230, 200, 230], Forward, Some(&[0, 0, 1, 1])),
            (&[207, 251, 203, 259], Forward, Some(&[0, 0, 1, 1])),
            (&[230, 200], Forward, Some(&[0, 1])),
            (&[200, 200, 230, 230], Forward, Some(&[0, 1, 0, 1])),
            (&[200], Forward, None),
            (&[200, 230], Forward, None),
            (&[200, 230, 200, 230, 200], Forward, None),
            (&[200, 200, 200], Forward, None),
            (&[230, 200, 230, 200], Backward, Some(&[1, 1, 0, 0])),
            (&[200, 200], Backward, Some(&[1, 0])),
            (&[230, 200], Backward, None),
        ];
        for (walls, direction, expected) in cases {
            let expected = expected.map(|rows| rows.iter().map(|row| *row == 1).collect::<Vec<_>>());
            assert_eq!(later(walls, direction), expected, "{walls:?} {direction:?}");
        }
    }

    #[test]
    fn the_neighbours_tell_which_way_a_file_runs() {
        let fold = Fold { start: 200, end: 300 };
        let cases = [
            (Some(100), Some(300), Some(Direction::Forward)),
            (Some(100), None, Some(Direction::Forward)),
            (None, Some(300), Some(Direction::Forward)),
            (None, None, Some(Direction::Forward)),
            (Some(300), Some(100), Some(Direction::Backward)),
            (Some(300), None, Some(Direction::Backward)),
            (None, Some(100), Some(Direction::Backward)),
            (Some(100), Some(100), None),
            (Some(300), Some(300), None),
        ];
        for (before, after, expected) in cases {
            assert_eq!(direction(fold, before, after), expected, "{before:?} {after:?}");
        }
    }
}
