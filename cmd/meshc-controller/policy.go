package main

import (
	"github.com/spf13/pflag"
)

// addPolicyFlags adds what says which commits may be served.
func (c *config) addPolicyFlags(f *pflag.FlagSet) {
	f.StringVar((*string)(&c.policy.Rewrites), "git-rewrites", "follow", "a branch that does not descend from what was applied: follow, or hold (what serves stays)")
	f.StringVar((*string)(&c.policy.Retags), "git-retags", "hold", "a tag that names another commit than when it was applied: follow, or hold (what serves stays)")
	f.StringVar((*string)(&c.policy.Verify), "git-verify", "", "what must be signed: head (the commit), range (every commit along first parents since the last applied one), tag (the annotated tag); default nothing")
	f.StringSliceVar(&c.policy.Keys.PGP, "git-pgp-keys-file", nil, "armored OpenPGP public keys whose signatures count, read again for every commit; repeatable")
	f.StringVar(&c.policy.Keys.AllowedSigners, "git-allowed-signers-file", "", "SSH keys whose signatures count, in the form of ssh-keygen's allowed signers, read again for every commit")
	f.StringVar(&c.policy.Anchor, "git-verify-anchor", "", "with range: hash of a commit that is trusted with all before it, where nothing has been applied yet or history was rewritten")
}
