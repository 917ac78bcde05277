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

/// What a body may have its provider do on the web.
///
/// After each use the model reads all that there is once more, with what the use has brought, and all of
/// that is charged as input of the one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebUses {
    /// How often it may search.
    pub searches: u32,
    /// How often it may read a page.
    pub fetches: u32,
    /// The tokens that each of these is reckoned with.
    pub tokens: u64,
}

impl WebUses {
    /// The most that either tool may be used.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.searches.max(self.fetches)
    }

    /// The same with each tool used so often at most.
    #[must_use]
    pub fn within(self, uses: u32) -> Self {
        Self { searches: self.searches.min(uses), fetches: self.fetches.min(uses), ..self }
    }

    /// The most tokens that are read, where the body has so many and the answer so many.
    fn input(&self, body: u64, output: u64) -> u64 {
        let uses = u64::from(self.searches) + u64::from(self.fetches);
        // What the first use brought is read after each, what the last brought only once.
        let brought = self.tokens.saturating_mul(uses * (uses + 1) / 2);
        let again = output.saturating_mul(uses).saturating_add(brought);
        body.saturating_mul(uses + 1).saturating_add(again)
    }
}

/// What an answer is let have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many tokens.
    pub output: u64,
    /// How often each web tool, where the body has one.
    pub uses: u32,
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
    /// What its provider may do on the web for it.
    pub web: WebUses,
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

    /// What the answer may have as it was asked for.
    #[must_use]
    pub fn wanted(&self) -> Allowed {
        Allowed { output: self.size.max_output, uses: self.size.web.most() }
    }

    /// The least of an answer that is of use: no more than wanted.
    #[must_use]
    pub fn least(&self) -> Allowed {
        let Size { max_output, thinking, web, .. } = self.size;
        let thinking = if thinking > 0 { SHORTEST_THINKING } else { 0 };
        Allowed { output: max_output.min(thinking + SHORTEST_ANSWER), uses: web.most().min(1) }
    }

    /// What the request costs at most with such an answer.
    #[must_use]
    pub fn at_most(&self, allowed: Allowed) -> Micros {
        self.price.cost(&self.used(allowed))
    }

    /// What it will about cost: few answers get near what they may have.
    #[must_use]
    pub fn expected(&self) -> Micros {
        let bytes = usize::try_from(self.size.bytes).unwrap_or(usize::MAX);
        self.price.cost(&meter::expected(bytes, self.size.max_output, self.size.web))
    }

    /// The most that the answer may have, up to what is wanted, with which the request surely costs no
    /// more than what is left: fewer uses of the web first, down to one, then fewer tokens. Nothing where
    /// that would be less than is of use.
    #[must_use]
    pub fn fitting(&self, left: Micros) -> Option<Allowed> {
        let fits = |allowed: &Allowed| self.at_most(*allowed) <= left;
        let (wanted, least) = (self.wanted(), self.least());
        let fewer = (least.uses..=wanted.uses).rev().map(|uses| Allowed { uses, ..wanted });
        if let Some(whole) = fewer.into_iter().find(fits) {
            return Some(whole);
        }
        let least = Some(least).filter(fits)?;
        let parts = |output| self.price.parts(&self.used(Allowed { output, ..least }));
        let room = i128::from(left.0).saturating_mul(super::prices::MILLION) - parts(0);
        // A token costs more than nothing, else the whole would have fitted.
        let longest = u64::try_from(room / (parts(1) - parts(0)).max(1)).unwrap_or(0);
        Some(Allowed { output: longest.clamp(least.output, wanted.output), ..least })
    }

    /// The most tokens that the body can be.
    fn input(&self) -> u64 {
        let Size { bytes, images, image_bytes, .. } = self.size;
        let text = bytes.saturating_sub(image_bytes).div_ceil(BYTES_PER_TOKEN_AT_LEAST);
        text.saturating_add(images.saturating_mul(TOKENS_PER_IMAGE)).saturating_add(TOKENS_ADDED)
    }

    /// All input at the dearest price that the body asks for. What is read again after a use of the web is
    /// kept for that by the API itself, which charges for it.
    fn used(&self, Allowed { output, uses }: Allowed) -> Used {
        let web = self.size.web.within(uses);
        let input = web.input(self.input(), output);
        let read = TokenUsage { input, output, ..TokenUsage::default() };
        let written = TokenUsage { cache_write: input, output, ..TokenUsage::default() };
        let searches = u64::from(web.searches);
        match self.size.caching {
            Caching::None if web.most() == 0 => Used { tokens: read, ..Used::default() },
            Caching::None | Caching::Minutes => {
                Used { tokens: written, cache_write_hour: 0, searches }
            }
            Caching::Hour => Used { tokens: written, cache_write_hour: input, searches },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer of so many tokens, without the web.
    fn tokens(output: u64) -> Allowed {
        Allowed { output, uses: 0 }
    }

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
            assert_eq!(whole.at_most(tokens(10_000)), Micros(input * rate / 100 + 150_000));
        }
    }

    #[test]
    fn an_image_counts_by_itself_and_not_by_its_bytes() {
        let size = Size { bytes: 2_000_100, images: 1, image_bytes: 2_000_000, ..Size::default() };
        let bill = Bill::new(Price::of_dollars(1.0, 1.0), size);
        assert_eq!(bill.at_most(tokens(0)), Micros(6_050));
    }

    #[test]
    fn an_answer_is_shortened_down_to_what_is_of_use_and_not_below() {
        let bill = bill(2_000, Caching::None, 10_000, 0);
        let input = bill.at_most(tokens(0));
        assert_eq!(bill.fitting(bill.at_most(tokens(10_000))), Some(tokens(10_000)));
        assert_eq!(bill.fitting(input + Micros(15 * 4_000)), Some(tokens(4_000)));
        assert_eq!(bill.fitting(input + Micros(15 * 1_024)), Some(tokens(1_024)));
        assert_eq!(bill.fitting(input + Micros(15 * 1_024 - 1)), None);
        assert_eq!(bill.fitting(Micros(0)), None);
        assert_eq!(bill.fitting(Micros(i64::MIN)), None);
    }

    #[test]
    fn where_there_is_thinking_some_of_it_is_left() {
        let thinking = bill(0, Caching::None, 32_000, 31_999);
        assert_eq!(thinking.least(), tokens(2_048));
        assert_eq!(thinking.fitting(thinking.at_most(tokens(2_047))), None);
        assert_eq!(thinking.fitting(thinking.at_most(tokens(2_048))), Some(tokens(2_048)));
    }

    fn less(money: Micros, micros: i64) -> Micros {
        Micros(money.0 - micros)
    }

    /// Three searches at a cent, each with 10,000 tokens.
    fn searching() -> Bill {
        let web = WebUses { searches: 3, fetches: 0, tokens: 10_000 };
        let size = Size { bytes: 2_000, max_output: 8_000, web, ..Size::default() };
        Bill::new(Price { search: Micros(10_000), ..Price::of_dollars(4.0, 20.0) }, size)
    }

    #[test]
    fn after_each_search_all_is_read_again_and_charged_as_written_to_the_cache() {
        let at_most = |uses| searching().at_most(Allowed { output: 8_000, uses });
        // At $5 a million: the body of 2,000 tokens, the answer read again, and what the searches brought.
        let tokens = |uses: i64, brought| (uses + 1) * 2_000 + uses * 8_000 + brought;
        let cost = |uses: i64, brought| Micros(tokens(uses, brought) * 5 + 160_000 + uses * 10_000);
        assert_eq!(at_most(1), cost(1, 10_000));
        assert_eq!(at_most(2), cost(2, 10_000 + 20_000));
        assert_eq!(at_most(3), cost(3, 10_000 + 20_000 + 30_000));
        assert_eq!(at_most(9), at_most(3));
        // Without one it costs what it would have cost before there was a web.
        assert_eq!(at_most(0), Micros(2_000 * 4 + 160_000));
    }

    #[test]
    fn an_answer_of_any_length_that_a_body_can_ask_for_is_shortened_all_the_same() {
        let size = Size { max_output: u64::MAX, ..searching().size };
        let bill = Bill::new(searching().price, size);
        assert_eq!(bill.at_most(bill.wanted()), Micros(i64::MAX));
        let room = bill.at_most(Allowed { output: 5_000, uses: 1 });
        assert_eq!(bill.fitting(room), Some(Allowed { output: 5_000, uses: 1 }));
    }

    #[test]
    fn searches_are_given_up_before_words_and_the_last_one_is_not() {
        let bill = searching();
        let with = |uses| bill.at_most(Allowed { output: 8_000, uses });
        assert_eq!(bill.fitting(with(3)), Some(Allowed { output: 8_000, uses: 3 }));
        assert_eq!(bill.fitting(less(with(3), 1)), Some(Allowed { output: 8_000, uses: 2 }));
        assert_eq!(bill.fitting(with(1)), Some(Allowed { output: 8_000, uses: 1 }));
        // A token fewer is written and not read again: $20 and $5 a million.
        assert_eq!(bill.fitting(less(with(1), 25)), Some(Allowed { output: 7_999, uses: 1 }));
        let least = bill.at_most(bill.least());
        assert_eq!(bill.fitting(least), Some(Allowed { output: 1_024, uses: 1 }));
        assert_eq!(bill.fitting(less(least, 1)), None);
    }

    proptest! {
        #[test]
        fn what_fits_costs_no_more_than_is_left_and_a_token_more_would(
            rates in (0_i64..100_000_000, 0_i64..100_000_000),
            size in (0_u64..40_000_000, 0_u64..200_000, 0_u64..70_000),
            caching in prop_oneof![
                Just(Caching::None), Just(Caching::Minutes), Just(Caching::Hour)
            ],
            web in (0_u32..6, 0_u32..6, 0_u64..50_000),
            left in 0_i64..200_000_000,
        ) {
            let (input, output) = rates;
            let price = Price {
                input: Micros(input),
                output: Micros(output),
                cache_read: Micros(input / 10),
                cache_write: Micros(input + input / 4),
                cache_write_hour: Micros(input * 2),
                search: Micros(10_000),
            };
            let (bytes, max_output, thinking) = size;
            let (searches, fetches, tokens) = web;
            let web = WebUses { searches, fetches, tokens };
            let size = Size { bytes, caching, max_output, thinking, web, ..Size::default() };
            let bill = Bill::new(price, size);
            let (wanted, least) = (bill.wanted(), bill.least());
            match bill.fitting(Micros(left)) {
                Some(allowed) => {
                    let Allowed { output, uses } = allowed;
                    prop_assert!(bill.at_most(allowed).0 <= left);
                    prop_assert!((least.output..=wanted.output).contains(&output));
                    prop_assert!((least.uses..=wanted.uses).contains(&uses));
                    let (more, longer) = (uses + 1, output + 1);
                    if uses < wanted.uses {
                        let more = bill.at_most(Allowed { uses: more, ..wanted });
                        prop_assert!(more.0 > left);
                    }
                    if output < wanted.output {
                        let longer = bill.at_most(Allowed { output: longer, uses });
                        prop_assert!(longer.0 > left);
                    }
                }
                None => prop_assert!(bill.at_most(bill.least()).0 > left),
            }
        }
    }
}
