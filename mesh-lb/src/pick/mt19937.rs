//! The 32-bit Mersenne Twister: the random order of bounded load is defined by it.

const SIZE: usize = 624;
const SHIFT: usize = 397;

/// The generator of C++'s `std::mt19937`. It computes words when they are drawn, in place.
pub(crate) struct Mt19937 {
    state: [u32; SIZE],
    // INVARIANT: less than SIZE.
    next: usize,
}

impl Mt19937 {
    /// Returns the generator with this seed.
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; SIZE];
        let mut last = seed;
        for (word, index) in state.iter_mut().zip(0_u32..).skip(1) {
            last = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(index);
            *word = last;
        }
        Self { state, next: 0 }
    }

    /// Returns the next number.
    pub(crate) fn draw(&mut self) -> u32 {
        let index = self.next;
        self.next = (index + 1) % SIZE;
        let joined = (self.word(index) & 0x8000_0000) | (self.word(self.next) & 0x7fff_ffff);
        let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
        let mut word = self.word((index + SHIFT) % SIZE) ^ (joined >> 1) ^ twist;
        if let Some(place) = self.state.get_mut(index) {
            *place = word;
        }
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn word(&self, index: usize) -> u32 {
        self.state.get(index).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_number_of_the_default_seed_is_the_one_the_standard_names() {
        let mut random = Mt19937::new(5489);
        assert_eq!((0..10_000).map(|_| random.draw()).last(), Some(4_123_659_995));
    }
}
