//! Shuffle sharding: which queues a flow may use (upstream: `apiserver/pkg/util/shufflesharding`).
//!
//! A flow's hash deals it a hand of different queues. Two flows share one or two of them, hardly ever all: a flow that
//! fills its whole hand leaves nearly everybody else a queue that it does not fill.

/// The most cards of a hand: a hash has 60 bits for all of them together, and so no larger hand is valid.
const MOST: usize = 15;

/// A hand of queues.
#[derive(Clone, Copy, Debug)]
pub struct Hand {
    cards: [u32; MOST],
    size: usize,
}

impl Hand {
    /// Deals `size` different cards out of `deck`, at least one.
    pub fn deal(mut hash: u64, deck: u32, size: u32) -> Self {
        let deck = deck.max(1);
        let size = (size.max(1) as usize).min(deck as usize).min(MOST);
        let mut cards = [0; MOST];
        for (at, card) in cards.iter_mut().take(size).enumerate() {
            let left = u64::from(deck) - at as u64;
            *card = (hash % left) as u32;
            hash /= left;
        }
        // Each card was drawn among those that the ones before it had left: number it among all.
        let drawn = cards;
        for (at, card) in cards.iter_mut().take(size).enumerate() {
            for before in drawn[..at].iter().rev() {
                *card += u32::from(*card >= *before);
            }
        }
        Hand { cards, size }
    }

    /// The cards.
    pub fn cards(&self) -> &[u32] {
        &self.cards[..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_hand_has_different_cards_and_all_hands_are_dealt_alike() {
        let mut seen: HashSet<Vec<u32>> = HashSet::new();
        let mut dealt = [0; 5];
        for hash in 0..5 * 4 * 3 {
            let hand = Hand::deal(hash, 5, 3);
            let different: HashSet<&u32> = hand.cards().iter().collect();
            assert_eq!(different.len(), 3, "{hand:?}");
            hand.cards().iter().for_each(|card| dealt[*card as usize] += 1);
            seen.insert(hand.cards().to_vec());
        }
        assert_eq!((seen.len(), dealt), (60, [36; 5]));
    }

    #[test]
    fn odd_sizes_are_bounded() {
        assert_eq!(Hand::deal(7, 1, 1).cards(), [0]);
        assert_eq!(Hand::deal(7, 2, 9).cards().len(), 2);
        assert_eq!(Hand::deal(u64::MAX, 64, 6).cards().len(), 6);
    }
}
