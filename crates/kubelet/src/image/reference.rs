//! What `imageID` in a container's status says (upstream: `ContainerStatus.ImageRef` of the CRI, as containerd fills it).

use runtime::{Container, Image, Reference};

/// Label of a container: what it says.
pub const LABEL: &str = "ironclad/image-ref";

/// The name with a digest under which the image was fetched from the repository that the container names; else from
/// another one; the image's id where it was fetched from none.
pub fn of(image: &Image, name: &str) -> String {
    let repository = Reference::parse(name).map(|reference| format!("{}@", reference.repository())).ok();
    let named = repository.and_then(|prefix| image.digests.iter().find(|digest| digest.starts_with(&prefix)));
    named.or(image.digests.first()).unwrap_or(&image.id).clone()
}

/// The same of a container that was started.
pub fn of_container(container: &Container) -> String {
    container.labels.get(LABEL).unwrap_or(&container.image_id).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_named_repository() {
        let digests = vec!["docker.io/library/other@sha256:1".to_owned(), "docker.io/library/nginx@sha256:2".to_owned()];
        let image = Image { id: "sha256:i".to_owned(), digests, ..Image::default() };
        assert_eq!(of(&image, "nginx:1.27"), "docker.io/library/nginx@sha256:2");
        assert_eq!(of(&image, "example.com/mine"), "docker.io/library/other@sha256:1");
        assert_eq!(of(&Image { digests: Vec::new(), ..image }, "nginx"), "sha256:i");
    }
}
