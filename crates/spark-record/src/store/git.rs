//! The commit of a working directory.

use std::fs;
use std::path::Path;

/// The commit that is checked out in the git repository around `folder`, as its files say.
pub fn commit(folder: &Path) -> Option<String> {
    let entry = folder.ancestors().map(|folder| folder.join(".git")).find(|entry| entry.exists())?;
    // In a further worktree `.git` is a file that names the folder.
    let git = match fs::read_to_string(&entry) {
        Ok(text) => entry.parent()?.join(text.trim().strip_prefix("gitdir: ")?),
        Err(_) => entry,
    };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return hash(head.trim()) };
    // Branches of a further worktree are kept in the folder of the first one.
    let common = fs::read_to_string(git.join("commondir")).map(|path| git.join(path.trim()));
    let common = common.unwrap_or_else(|_| git.clone());
    if let Ok(text) = fs::read_to_string(common.join(name)) {
        return hash(text.trim());
    }
    let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| hash(line.strip_suffix(name)?.trim_end()))
}

fn hash(text: &str) -> Option<String> {
    let fits = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_that_of_the_branch_loose_or_packed() {
        let root = tempfile::tempdir().unwrap();
        let git = root.path().join(".git");
        let below = root.path().join("a/b");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::create_dir_all(&below).unwrap();
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(commit(&below), None);
        fs::write(git.join("packed-refs"), format!("# pack-refs\n{one} refs/heads/main\n")).unwrap();
        assert_eq!(commit(&below), Some(one.clone()));
        fs::write(git.join("refs/heads/main"), format!("{two}\n")).unwrap();
        assert_eq!(commit(&below), Some(two));
        fs::write(git.join("HEAD"), format!("{one}\n")).unwrap();
        assert_eq!(commit(&below), Some(one));
    }
}
