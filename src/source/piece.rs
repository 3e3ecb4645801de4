//! Rows of what was delivered in one piece, on their way to being batches.

use std::ops::Range;
use std::sync::Arc;

/// Some rows of one delivery.
#[derive(Debug)]
pub(crate) struct Piece<D> {
    pub(crate) delivered: Arc<D>,
    pub(crate) rows: Range<usize>,
    /// The number of the delivery's first element.
    pub(crate) first_element: u64,
}

impl<D> Piece<D> {
    /// These rows of the same delivery.
    pub(crate) fn with_rows(&self, rows: Range<usize>) -> Self {
        Self { delivered: self.delivered.clone(), rows, first_element: self.first_element }
    }
}

impl<D> Clone for Piece<D> {
    fn clone(&self) -> Self {
        self.with_rows(self.rows.clone())
    }
}

/// The pieces' first `rows` rows, and the others.
pub(crate) fn split<D>(pieces: &[Piece<D>], rows: usize) -> (Vec<Piece<D>>, Vec<Piece<D>>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut left = rows;
    for piece in pieces {
        let middle = piece.rows.start + left.min(piece.rows.len());
        left -= middle - piece.rows.start;
        if middle > piece.rows.start {
            first.push(piece.with_rows(piece.rows.start..middle));
        }
        if middle < piece.rows.end {
            second.push(piece.with_rows(middle..piece.rows.end));
        }
    }
    (first, second)
}
