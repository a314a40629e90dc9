//! What a multiply-accumulate takes on each way through an operator (`prices.txt`), as boards measured it.
//!
//! Only ratios between ways on one core are meant: how much a layer that is off the fast way loses, about. A layer's
//! own shape moves that; `bench` measures the layer itself.

use ferrolite_runtime::Target;

/// `cargo xtask bench --prices` writes it.
const LIST: &str = include_str!("prices.txt");

/// A way that takes at most this many times as long as the fastest is as good.
pub(super) const WORTH: f64 = 1.15;

/// The price of a multiply-accumulate of an operator on a way of a core: modelled cycles, or instructions.
pub(super) fn price(core: Target, op: &str, path: &str) -> Option<f64> {
    let fits = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let found = words.next() == Some(core.name()) && words.next() == Some(op);
        let price = words.next()?.parse().ok()?;
        (found && words.next() == Some(path)).then_some(price)
    };
    LIST.lines().filter(|line| !line.starts_with('#')).find_map(fits)
}

/// Times as long as on the way `fast`, 1 at least, if both have been measured.
pub(super) fn factor(core: Target, op: &str, path: &str, fast: &str) -> Option<f64> {
    Some((price(core, op, path)? / price(core, op, fast)?).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_price() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let [core, op, cost, path] = words[..] else { panic!("{line}") };
            let core = Target::ALL.iter().find(|target| target.name() == core).unwrap();
            let cost: f64 = cost.parse().unwrap();
            assert!(cost > 0.0 && price(*core, op, path) == Some(cost), "{line}");
        }
    }

    #[test]
    fn plain_weights_cost_most_where_there_is_a_packing() {
        let factor = |core, op, path, fast| factor(core, op, path, fast).unwrap();
        assert!(factor(Target::CortexM4, "conv_2d", "plain", "packed") > 1.5);
        assert!(factor(Target::CortexM4, "conv_2d", "foreign", "packed") > 3.0);
        assert_eq!(factor(Target::CortexM4, "conv_2d", "packed", "plain"), 1.0);
        assert_eq!(super::factor(Target::Host, "conv_2d", "plain", "packed"), None);
    }
}
