//! Which requests have spans that are kept.

use super::context::{Remote, TraceId};
use crate::config::Sampler;

impl Sampler {
    /// Whether this request is one of them. The share goes by the trace's id, so that all programs with the same share
    /// keep the same traces.
    pub(super) fn keeps(self, parent: Option<&Remote>, trace: TraceId) -> bool {
        match parent {
            Some(parent) if self.by_parent => parent.sampled,
            _ => self.is_in_share(trace),
        }
    }

    fn is_in_share(self, trace: TraceId) -> bool {
        if self.ratio >= 1.0 {
            return true;
        }
        let [.., a, b, c, d, e, f, g, h] = trace.0;
        // As OpenTelemetry's programs do it: the lower half of the id, without its first bit.
        let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> 1);
        (place as f64) < self.ratio * 2_f64.powi(63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::context::SpanId;

    #[test]
    fn the_parent_decides_where_it_is_asked() {
        let trace = TraceId([7; 16]);
        let parent = |sampled| Remote { trace, span: SpanId([1; 8]), sampled, state: String::new() };
        for (by_parent, ratio, from, expected) in [
            (true, 1.0, None, true),
            (true, 0.0, None, false),
            (true, 0.0, Some(true), true),
            (true, 1.0, Some(false), false),
            (false, 1.0, Some(false), true),
            (false, 0.0, Some(true), false),
        ] {
            let sampler = Sampler { by_parent, ratio };
            assert_eq!(sampler.keeps(from.map(parent).as_ref(), trace), expected, "{sampler:?} {from:?}");
        }
    }

    #[test]
    fn a_share_is_about_that_share() {
        let sampler = Sampler { by_parent: false, ratio: 0.25 };
        let id = |number: u64| {
            let digest = claviger_crypto::sha256(&number.to_be_bytes());
            TraceId::of(*digest.first_chunk().unwrap_or(&[0; 16]))
        };
        let kept = (0..4000).filter(|number| sampler.keeps(None, id(*number))).count();
        assert!((900..1100).contains(&kept), "{kept}");
        let less = Sampler { ratio: 0.1, ..sampler };
        assert!((0..4000).all(|n| !less.keeps(None, id(n)) || sampler.keeps(None, id(n))), "a part of it");
    }
}
