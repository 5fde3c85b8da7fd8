package answer

import "github.com/meshc/meshc/compiler/model"

// Audited is a service or gateway that logs a request as audited.
type Audited struct {
	By     model.Ref `json:"by"`
	Remark string    `json:"remark,omitempty"` // what it depends on that was not given
	At     string    `json:"at,omitempty"`     // of the rule
}

// audited notes the first rule of by that holds; caller is the SPIFFE ID that it
// has verified, "" for none.
func (a *asking) audited(by model.Ref, rules []model.Rule, caller string, r *Request, port uint16) {
	j := &judging{trustDomain: a.mesh.TrustDomain, who: by, caller: caller, req: r, port: port}
	for i := range rules {
		if j.holds(&rules[i], true) {
			a.out.Audited = append(a.out.Audited, Audited{by, j.remark(), place(rules[i].Origin)})
			return
		}
	}
}
