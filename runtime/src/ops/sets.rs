//! Operators that link fewer kernels than those that run every file.

/// Operators for files that were packed for the core that this is compiled for: they link its kernels and no
/// others, and refuse what was packed for another core. `convert --rust` names them where they will do.
/// On a host they run every file, so that firmware can be tested there, and with the feature `foreign-kernels`.
pub mod tuned {
    use crate::kernels::Native;
    use crate::ops::operator::Operator;
    use crate::ops::{conv_2d, conv_2d_segments, conv_2d_winograd, depthwise_conv_2d, fully_connected};

    const STRICT: bool = cfg!(all(device, not(feature = "foreign-kernels")));

    /// CONV_2D.
    pub const CONV_2D: Operator =
        if STRICT { conv_2d::tuned_operator::<Native>() } else { conv_2d::operator::<Native>() };
    /// CONV_2D in segments.
    pub const CONV_2D_SEGMENTS: Operator = if STRICT {
        conv_2d_segments::tuned_operator::<Native>()
    } else {
        conv_2d_segments::operator::<Native>()
    };
    /// CONV_2D by Winograd's algorithm.
    pub const CONV_2D_WINOGRAD: Operator = if STRICT {
        conv_2d_winograd::tuned_operator::<Native>()
    } else {
        conv_2d_winograd::operator::<Native>()
    };
    /// DEPTHWISE_CONV_2D.
    pub const DEPTHWISE_CONV_2D: Operator = if STRICT {
        depthwise_conv_2d::tuned_operator::<Native>()
    } else {
        depthwise_conv_2d::operator::<Native>()
    };
    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator = if STRICT {
        fully_connected::tuned_operator::<Native>()
    } else {
        fully_connected::operator::<Native>()
    };
}

/// As [`tuned`], for files whose layers have channels with any numbers: multipliers of one half and more or below
/// 2^-23, large sums and biases, weights of -128. The operators run layers without such channels as fast as those of
/// [`tuned`] do, and link two kernels in place of one.
pub mod general {
    use crate::kernels::Native;
    use crate::ops::operator::Operator;
    use crate::ops::{conv_2d, conv_2d_segments, fully_connected};

    const STRICT: bool = cfg!(all(device, not(feature = "foreign-kernels")));

    /// CONV_2D.
    pub const CONV_2D: Operator =
        if STRICT { conv_2d::general_operator::<Native>() } else { conv_2d::operator::<Native>() };
    /// CONV_2D in segments.
    pub const CONV_2D_SEGMENTS: Operator = if STRICT {
        conv_2d_segments::general_operator::<Native>()
    } else {
        conv_2d_segments::operator::<Native>()
    };
    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator = if STRICT {
        fully_connected::general_operator::<Native>()
    } else {
        fully_connected::operator::<Native>()
    };
}

/// Operators for files whose weights are plain: they link the kernels for those and no others, and refuse
/// packed files, on every core.
pub mod plain {
    use crate::kernels::Native;
    use crate::ops::operator::Operator;
    use crate::ops::{conv_2d, depthwise_conv_2d, fully_connected};

    /// CONV_2D.
    pub const CONV_2D: Operator = conv_2d::plain_operator::<Native>();
    /// DEPTHWISE_CONV_2D.
    pub const DEPTHWISE_CONV_2D: Operator = depthwise_conv_2d::plain_operator::<Native>();
    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator = fully_connected::plain_operator::<Native>();
}

/// Operators for files in which they take little time, SOFTMAX of short rows and AVERAGE_POOL_2D of large windows: they
/// link small kernels where fast ones are larger. They run every file.
pub mod small {
    use crate::kernels::{Native, Portable};
    use crate::ops::operator::Operator;
    use crate::ops::{average_pool_2d, softmax};

    /// AVERAGE_POOL_2D.
    pub const AVERAGE_POOL_2D: Operator = average_pool_2d::of_many_operator::<Native>();
    /// SOFTMAX.
    pub const SOFTMAX: Operator = if cfg!(kernels = "armv7em") {
        softmax::operator::<Portable>()
    } else {
        softmax::operator::<Native>()
    };
}

/// Operators for files whose weights have four bits: they link the kernels for those and no others.
pub mod nibbles {
    use crate::ops::fully_connected;
    use crate::ops::operator::Operator;

    /// FULLY_CONNECTED.
    pub const FULLY_CONNECTED: Operator = fully_connected::nibbles_operator();
}
