package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// idle says why a flag that was given has no effect; "" when it has one.
func (c *config) idle(flag string) string {
	switch {
	case of(flag, "inject-") && !c.has(roleInject):
		return "needs the role inject"
	case (flag == "inject-webhook" || flag == "inject-host") && c.inject.certificate != "":
		return "is for a certificate that is made here, and --inject-cert-file names one"
	case c.injectAlone() && (of(flag, "ca-") || flag == "trust-domain" || flag == "bundle-address" || flag == "federate"):
		return "needs the role ca"
	case c.mesh == "" && flag == "kubeconfig" && !c.authority.reviews():
		return "is for --mesh, and for --ca-attest=token-review"
	case c.mesh == "" && (flag == "identity" || flag == "lease" || flag == "publish-roots"):
		return "is for --mesh"
	case !c.has(roleReconcile) && (of(flag, "git-", "webhook-") || flag == "identity" || flag == "lease" || flag == "publish-roots" ||
		flag == "repo" || flag == "ref" || flag == "path" || flag == "interval" || flag == "allow-empty"):
		return "needs the role reconcile"
	case !c.has(roleServe) && (flag == "ads-address" || flag == "workloads" || flag == "alias-roots"):
		return "needs the role serve"
	}
	return ""
}

func of(flag string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(flag, p) {
			return true
		}
	}
	return false
}

// refuseIdle refuses flags that would do nothing: who gives one expects something
// of it.
func (c *config) refuseIdle(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if why := c.idle(flag.Name); why != "" && err == nil {
			err = fmt.Errorf("--%s %s", flag.Name, why)
		}
	})
	return err
}
