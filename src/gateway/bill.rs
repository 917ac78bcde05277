//! What a request may cost at most, and how long its answer may be for the money that is left.
//!
//! Pure. All sums are integers of micro-USD times tokens, rounded up once at the end.

use crate::model::Micros;
use crate::model::TokenUsage;

use super::meter;
use super::prices::{Price, Used};

/// Text holds at most a token in so many bytes: English, code and JSON have three and more, dense
/// figures and hexadecimal about two. Should a request hold more, the books say so (`beyond`), and
/// the next request has that much less.
const BYTES_PER_TOKEN_AT_LEAST: u64 = 2;

/// What the API counts at most for one image, however many bytes it has:
/// <https://docs.claude.com/en/docs/build-with-claude/vision>.
const TOKENS_PER_IMAGE: u64 = 5_000;

/// What the API adds by itself: the words that explain tools to the model.
const TOKENS_ADDED: u64 = 1_000;

/// An answer shorter than this is of no use to an agent.
pub(super) const SHORTEST_ANSWER: u64 = 1_024;

/// The least that the API takes for thinking, where there is thinking at all:
/// <https://docs.claude.com/en/docs/build-with-claude/extended-thinking>.
const SHORTEST_THINKING: u64 = 1_024;

/// For how long a request asks the API to keep what it reads: that is dearer than reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caching {
    /// It does not ask.
    #[default]
    None,
    /// Five minutes.
    Minutes,
    /// An hour.
    Hour,
}

/// What a body says about its price, in whichever dialect it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the whole body.
    pub bytes: u64,
    /// Images whose data is in the body.
    pub images: u64,
    /// Bytes of those images, as they are written there.
    pub image_bytes: u64,
    /// What of it is to be kept in the cache.
    pub caching: Caching,
    /// How many tokens its answer may have.
    pub max_output: u64,
    /// How many of these may go into thinking; an answer that is shortened has fewer of them, too.
    pub thinking: u64,
}

/// The worst case of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    price: Price,
    size: Size,
}

impl Bill {
    /// Takes a price and a body's size together.
    #[must_use]
    pub fn new(price: Price, size: Size) -> Self {
        Self { price, size }
    }

    /// How many tokens the answer may have as it was asked for.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.size.max_output
    }

    /// The fewest tokens of an answer that are of use: no more than wanted.
    #[must_use]
    pub fn least(&self) -> u64 {
        let Size { max_output, thinking, .. } = self.size;
        let thinking = if thinking > 0 { SHORTEST_THINKING } else { 0 };
        max_output.min(thinking + SHORTEST_ANSWER)
    }

    /// What the request costs at most with an answer of so many tokens.
    #[must_use]
    pub fn at_most(&self, output: u64) -> Micros {
        self.price.cost(&self.used(self.input(), output))
    }

    /// What it will about cost: few answers get near what they may have.
    #[must_use]
    pub fn expected(&self) -> Micros {
        let bytes = usize::try_from(self.size.bytes).unwrap_or(usize::MAX);
        self.price.cost(&meter::expected(bytes, self.size.max_output))
    }

    /// The longest answer, in tokens and up to what is wanted, with which the request surely costs
    /// no more than what is left; nothing where that would be shorter than is of use.
    #[must_use]
    pub fn fitting(&self, left: Micros) -> Option<u64> {
        let fits = |output: &u64| self.at_most(*output) <= left;
        if fits(&self.wanted()) {
            return Some(self.wanted());
        }
        let least = Some(self.least()).filter(fits)?;
        let room = i128::from(left.0).saturating_mul(super::prices::MILLION)
            - self.price.parts(&self.used(self.input(), 0));
        // The price of output is above 0, else the whole would have fitted.
        let longest = u64::try_from(room / i128::from(self.price.output.0.max(1))).unwrap_or(0);
        Some(longest.clamp(least, self.wanted()))
    }

    /// The most tokens that the body can be.
    fn input(&self) -> u64 {
        let Size { bytes, images, image_bytes, .. } = self.size;
        let text = bytes.saturating_sub(image_bytes).div_ceil(BYTES_PER_TOKEN_AT_LEAST);
        text.saturating_add(images.saturating_mul(TOKENS_PER_IMAGE)).saturating_add(TOKENS_ADDED)
    }

    /// All input at the dearest price that the body asks for.
    fn used(&self, input: u64, output: u64) -> Used {
        let read = TokenUsage { input, output, ..TokenUsage::default() };
        let written = TokenUsage { cache_write: input, output, ..TokenUsage::default() };
        match self.size.caching {
            Caching::None => Used { tokens: read, cache_write_hour: 0 },
            Caching::Minutes => Used { tokens: written, cache_write_hour: 0 },
            Caching::Hour => Used { tokens: written, cache_write_hour: input },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bill(bytes: u64, caching: Caching, max_output: u64, thinking: u64) -> Bill {
        let size = Size { bytes, caching, max_output, thinking, ..Size::default() };
        Bill::new(Price::of_dollars(3.0, 15.0), size)
    }

    #[test]
    fn the_worst_case_is_all_input_at_its_dearest_and_the_longest_answer() {
        let input = 2_000 / BYTES_PER_TOKEN_AT_LEAST + TOKENS_ADDED;
        let input = i64::try_from(input).unwrap();
        for (caching, rate) in [(Caching::None, 300), (Caching::Minutes, 375), (Caching::Hour, 600)]
        {
            let whole = bill(2_000, caching, 10_000, 0);
            assert_eq!(whole.at_most(10_000), Micros(input * rate / 100 + 150_000));
        }
    }

    #[test]
    fn an_image_counts_by_itself_and_not_by_its_bytes() {
        let size = Size { bytes: 2_000_100, images: 1, image_bytes: 2_000_000, ..Size::default() };
        let bill = Bill::new(Price::of_dollars(1.0, 1.0), size);
        assert_eq!(bill.at_most(0), Micros(6_050));
    }

    #[test]
    fn an_answer_is_shortened_down_to_what_is_of_use_and_not_below() {
        let bill = bill(2_000, Caching::None, 10_000, 0);
        let input = bill.at_most(0);
        assert_eq!(bill.fitting(bill.at_most(10_000)), Some(10_000));
        assert_eq!(bill.fitting(input + Micros(15 * 4_000)), Some(4_000));
        assert_eq!(bill.fitting(input + Micros(15 * 1_024)), Some(1_024));
        assert_eq!(bill.fitting(input + Micros(15 * 1_024 - 1)), None);
        assert_eq!(bill.fitting(Micros(0)), None);
        assert_eq!(bill.fitting(Micros(i64::MIN)), None);
    }

    #[test]
    fn where_there_is_thinking_some_of_it_is_left() {
        let thinking = bill(0, Caching::None, 32_000, 31_999);
        assert_eq!(thinking.least(), 2_048);
        assert_eq!(thinking.fitting(thinking.at_most(2_047)), None);
        assert_eq!(thinking.fitting(thinking.at_most(2_048)), Some(2_048));
    }

    proptest! {
        #[test]
        fn what_fits_costs_no_more_than_is_left_and_a_token_more_would(
            rates in (0_i64..100_000_000, 0_i64..100_000_000),
            size in (0_u64..40_000_000, 0_u64..200_000, 0_u64..70_000),
            caching in prop_oneof![
                Just(Caching::None), Just(Caching::Minutes), Just(Caching::Hour)
            ],
            left in 0_i64..200_000_000,
        ) {
            let (input, output) = rates;
            let price = Price {
                input: Micros(input),
                output: Micros(output),
                cache_read: Micros(input / 10),
                cache_write: Micros(input + input / 4),
                cache_write_hour: Micros(input * 2),
            };
            let (bytes, max_output, thinking) = size;
            let size = Size { bytes, caching, max_output, thinking, ..Size::default() };
            let bill = Bill::new(price, size);
            match bill.fitting(Micros(left)) {
                Some(output) => {
                    prop_assert!(bill.at_most(output).0 <= left);
                    prop_assert!((bill.least()..=bill.wanted()).contains(&output));
                    if output < bill.wanted() {
                        prop_assert!(bill.at_most(output + 1).0 > left);
                    }
                }
                None => prop_assert!(bill.at_most(bill.least()).0 > left),
            }
        }
    }
}
