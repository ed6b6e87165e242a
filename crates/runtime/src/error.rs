//! Why a call of a runtime fails.

/// Why the runtime refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No such pod, container or image.
    #[error("{0} not found")]
    NotFound(String),
    /// An image could not be had; `reason` is what the kubelet reports (`ErrImagePull`, `InvalidImageName` …).
    #[error("{message}")]
    Image {
        /// CamelCase.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// The container's configuration cannot work (`CreateContainerConfigError`).
    #[error("{0}")]
    Config(String),
    /// The container could not be made or started (`CreateContainerError`, `RunContainerError`).
    #[error("{0}")]
    Start(String),
    /// The pod has no sandbox any more in which a container could be started; none was.
    #[error("{0}")]
    NoSandbox(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// Anything else: the operation and what the system said.
    #[error("{0}")]
    System(String),
}

/// Result of a runtime call.
pub type Result<T> = std::result::Result<T, Error>;
