//! What tokens cost.

use std::collections::BTreeMap;

use crate::model::{Micros, TokenUsage};

/// Prices are for so many tokens.
pub(super) const MILLION: i128 = 1_000_000;

/// The price of one model, each in micro-USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Tokens read anew.
    pub input: Micros,
    /// Tokens written.
    pub output: Micros,
    /// Tokens read from the cache.
    pub cache_read: Micros,
    /// Tokens written to the cache for five minutes.
    pub cache_write: Micros,
    /// Tokens written to the cache for an hour.
    pub cache_write_hour: Micros,
    /// One search of the web, in micro-USD: its provider's price, whichever model asks for it.
    pub search: Micros,
}

impl Price {
    /// A price by Anthropic's rule for its models: reading the cache costs a tenth of reading anew,
    /// writing to it a quarter more, and twice as much for an hour. In dollars per million tokens.
    #[must_use]
    pub fn of_dollars(input: f64, output: f64) -> Self {
        Self {
            input: Micros::from_dollars(input),
            output: Micros::from_dollars(output),
            cache_read: Micros::from_dollars(input * 0.1),
            cache_write: Micros::from_dollars(input * 1.25),
            cache_write_hour: Micros::from_dollars(input * 2.0),
            search: Micros::ZERO,
        }
    }

    /// What these tokens cost, a started micro-dollar counted whole.
    #[must_use]
    pub fn cost(&self, used: &Used) -> Micros {
        let whole = self.parts(used).saturating_add(MILLION - 1) / MILLION;
        Micros(i64::try_from(whole).unwrap_or(i64::MAX))
    }

    /// The same in millionths of a micro-dollar: exact.
    pub(super) fn parts(&self, used: &Used) -> i128 {
        let hour = used.cache_write_hour.min(used.tokens.cache_write);
        let parts = [
            (used.tokens.input, self.input),
            (used.tokens.output, self.output),
            (used.tokens.cache_read, self.cache_read),
            (used.tokens.cache_write - hour, self.cache_write),
            (hour, self.cache_write_hour),
        ];
        let tokens: i128 =
            parts.iter().map(|(tokens, price)| i128::from(*tokens) * i128::from(price.0)).sum();
        tokens + i128::from(used.searches) * i128::from(self.search.0) * MILLION
    }
}

/// Tokens as they are priced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// All tokens.
    pub tokens: TokenUsage,
    /// How many of those written to the cache stay there for an hour.
    pub cache_write_hour: u64,
    /// How often the provider searched the web for it.
    pub searches: u64,
}

/// The price of each model that may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// Takes a table: the model's exact name as it is asked for, and its price.
    #[must_use]
    pub fn new(table: BTreeMap<String, Price>) -> Self {
        Self(table)
    }

    /// List prices in dollars per million tokens, as Claude Code 2.1.329 counts them itself.
    #[must_use]
    pub fn published() -> Self {
        let list = [
            ("claude-opus-5-5", 4.0, 20.0),
            ("claude-opus-4-8", 5.0, 25.0),
            ("claude-sonnet-4-5", 3.0, 15.0),
        ];
        let priced = |(name, input, output): (&str, f64, f64)| {
            (name.to_owned(), Price::of_dollars(input, output))
        };
        Self(list.into_iter().map(priced).collect())
    }

    /// The price of a model; nothing if it has none.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        self.0.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_what_the_program_itself_counts() {
        let tokens = TokenUsage { input: 100, output: 10, ..TokenUsage::default() };
        let used = Used { tokens, ..Used::default() };
        let price = Prices::published().of("claude-opus-5-5").unwrap();
        assert_eq!(price.cost(&used), Micros(600));
    }

    #[test]
    fn each_kind_of_token_has_its_own_price() {
        let million = 1_000_000;
        let tokens =
            TokenUsage { input: 0, output: 0, cache_read: million, cache_write: 2 * million };
        let price = Price::of_dollars(10.0, 50.0);
        let used = Used { tokens, cache_write_hour: million, searches: 0 };
        assert_eq!(price.cost(&used), Micros(1_000_000 + 12_500_000 + 20_000_000));
    }

    #[test]
    fn searches_cost_by_the_piece_beside_the_tokens_that_they_bring() {
        let tokens = TokenUsage { input: 1_000, output: 100, ..TokenUsage::default() };
        let price = Price { search: Micros(10_000), ..Price::of_dollars(3.0, 15.0) };
        let used = Used { tokens, searches: 3, ..Used::default() };
        assert_eq!(price.cost(&used), Micros(3_000 + 1_500 + 30_000));
    }

    #[test]
    fn a_part_of_a_micro_dollar_counts_whole_and_nothing_overflows() {
        let price = Price::of_dollars(3.0, 15.0);
        let one = TokenUsage { cache_read: 1, ..TokenUsage::default() };
        assert_eq!(price.cost(&Used { tokens: one, ..Used::default() }), Micros(1));
        let all = u64::MAX;
        let tokens = TokenUsage { input: all, output: all, cache_read: all, cache_write: all };
        assert_eq!(
            price.cost(&Used { tokens, cache_write_hour: all, searches: all }),
            Micros(i64::MAX)
        );
    }
}
