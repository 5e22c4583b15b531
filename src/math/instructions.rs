//! What the processor can do, found at run time: a prebuilt program uses it without compile flags.

/// A set of vector instructions that the processor is known to have. Work handed to [`Instructions::run`] is compiled
/// for that set, as one function of its own; what it calls must be inlined into it or be handed on in the same way.
pub trait Instructions: Copy {
    /// Does the work.
    fn run<R>(self, work: impl FnOnce() -> R) -> R;
}

/// Only what every processor of the kind has.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Instructions for Portable {
    #[inline(always)]
    fn run<R>(self, work: impl FnOnce() -> R) -> R {
        #[inline(never)]
        fn portable<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        portable(work)
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($(#[$doc:meta])* $name:ident, $features:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name(());

        impl Instructions for $name {
            #[inline(always)]
            fn run<R>(self, work: impl FnOnce() -> R) -> R {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn inner<R>(work: impl FnOnce() -> R) -> R {
                    work()
                }
                // SAFETY: a value of this type is made only by `InstructionSet::detect` and `run`, which found the
                // instructions.
                unsafe { inner(work) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instructions! {
    /// AVX2.
    Avx2, "avx2"
}

#[cfg(target_arch = "x86_64")]
instructions! {
    /// AVX-512.
    Avx512, "avx512f,avx512dq"
}

/// Work that is compiled for each set of instructions.
pub trait Vectorisable {
    /// What comes out.
    type Output;
    /// Does it, with the instructions given.
    fn with(self, instructions: impl Instructions) -> Self::Output;
}

/// The best set that the processor has.
#[derive(Debug, Clone, Copy)]
pub enum InstructionSet {
    /// See [`Portable`].
    Portable(Portable),
    /// See [`Avx2`].
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// See [`Avx512`].
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl InstructionSet {
    /// Asks the processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return InstructionSet::Avx512(Avx512(()));
            }
            if is_x86_feature_detected!("avx2") {
                return InstructionSet::Avx2(Avx2(()));
            }
        }
        InstructionSet::Portable(Portable)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(_) => "AVX-512",
        }
    }

    /// Does `work` with it.
    pub fn run<W: Vectorisable>(self, work: W) -> W::Output {
        match self {
            InstructionSet::Portable(instructions) => work.with(instructions),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(instructions) => work.with(instructions),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(instructions) => work.with(instructions),
        }
    }
}
