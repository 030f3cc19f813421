//! How often a rule acts: `once`, `times N`, `after N`, `chance P`. What was counted belongs to one connection; chances
//! come from a generator of its own, so that the same seed has the same ones in every run. Knows no text.

use super::fault::Response;

/// The modifiers of a rule. Of the texts on which it would act, the first `after` are passed over, each of the others has
/// its chance, and after so many times nothing more is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// So many texts are passed over.
    pub after: Option<u64>,
    /// It acts so many times at the most; at least once.
    pub times: Option<u64>,
    /// From above 0 to 1.
    pub chance: Option<f64>,
}

impl Limits {
    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What one connection knows of the rules that count, and where its chances stand.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    counts: Vec<Count>,
    state: u64,
    /// Most rules do not ask for it.
    responses: Option<Box<Responses>>,
}

/// The responses on which rules have acted that act once on each; [`MAX_RESPONSES`] at most, latest last.
#[derive(Debug, Clone, Default)]
struct Responses(Vec<Response>);

/// Maximum number of responses remembered, rules and responses multiplied. A rule may act again on one that was forgotten.
const MAX_RESPONSES: usize = 64;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    met: u64,
    done: u64,
}

impl Progress {
    /// The beginning of a connection with this number. So many rules count.
    #[must_use]
    pub fn begin(seed: u64, connection: u64, rules: usize) -> Self {
        Progress { counts: vec![Count::default(); rules], state: seed.wrapping_add(connection), responses: None }
    }

    /// Returns true if nothing of this response has come before on which the rule could act.
    pub(super) fn begins(&mut self, response: Response) -> bool {
        let Responses(responses) = &mut **self.responses.get_or_insert_default();
        let known = responses.iter().position(|met| *met == response);
        match known {
            // What still goes on is not the first to be forgotten.
            Some(at) => responses[at..].rotate_left(1),
            None => {
                if responses.len() == MAX_RESPONSES {
                    responses.remove(0);
                }
                responses.push(response);
            }
        }
        known.is_none()
    }

    /// What a rule was to do to a response did not happen: the next text of it may be the one.
    pub fn forget(&mut self, response: Option<Response>) {
        if let Some(responses) = &mut self.responses {
            responses.0.retain(|met| Some(*met) != response);
        }
    }

    /// A rule would act on a text: whether it does. `nth` is its place among those that count.
    pub(super) fn turn(&mut self, nth: usize, limits: &Limits) -> bool {
        let Some(count) = self.counts.get_mut(nth) else { return true };
        count.met = count.met.saturating_add(1);
        if limits.after.is_some_and(|after| count.met <= after) {
            return false;
        }
        if limits.times.is_some_and(|times| count.done >= times) {
            return false;
        }
        let lucky = limits.chance.is_none_or(|chance| share(next(&mut self.state)) < chance);
        self.counts[nth].done += u64::from(lucky);
        lucky
    }
}

/// The next number of the generator splitmix64 (Steele, Lea and Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number from 0 to below 1, from the upper 53 bits.
#[allow(clippy::cast_precision_loss)]
fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(limits: Limits, seed: u64, count: usize) -> String {
        let mut progress = Progress::begin(seed, 1, 1);
        (0..count).map(|_| if progress.turn(0, &limits) { 'x' } else { '.' }).collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut state = 1_234_567;
        let numbers = [next(&mut state), next(&mut state), next(&mut state)];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_response_begins_once_for_each_rule_and_the_oldest_are_forgotten() {
        let mut progress = Progress::begin(0, 1, 0);
        let response = |rule, exchange| Response { rule, exchange };
        assert!(progress.begins(response(0, 1)) && !progress.begins(response(0, 1)) && progress.begins(response(1, 1)));
        progress.forget(Some(response(0, 1)));
        assert!(progress.begins(response(0, 1)));
        for exchange in 2..1000 {
            assert!(progress.begins(response(0, exchange)));
            assert!(!progress.begins(response(0, 1)), "what goes on is not forgotten");
        }
        assert_eq!(progress.responses.as_ref().map(|it| it.0.len()), Some(MAX_RESPONSES));
        assert!(progress.begins(response(1, 1)), "what does not is");
    }

    #[test]
    fn modifiers_combine() {
        let none = Limits::default();
        assert_eq!(turns(none, 0, 3), "xxx");
        assert_eq!(turns(Limits { times: Some(1), ..none }, 0, 3), "x..");
        assert_eq!(turns(Limits { after: Some(2), ..none }, 0, 4), "..xx");
        assert_eq!(turns(Limits { after: Some(2), times: Some(3), ..none }, 0, 7), "..xxx..");
        assert_eq!(turns(Limits { chance: Some(1.0), ..none }, 0, 3), "xxx");
        let half = Limits { chance: Some(0.5), ..none };
        let found = turns(half, 7, 1000);
        assert_eq!(found, turns(half, 7, 1000), "a seed has its chances");
        assert_ne!(found, turns(half, 8, 1000));
        assert!((400..600).contains(&found.matches('x').count()), "{found}");
        let twice = turns(Limits { times: Some(2), ..half }, 7, 1000);
        assert_eq!(twice.matches('x').count(), 2);
        assert_eq!(twice.trim_end_matches('.'), &found[..twice.trim_end_matches('.').len()]);
    }
}
