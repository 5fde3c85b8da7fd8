// Package kube has an API server of Kubernetes say who holds a token of a service
// account.
package kube

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/validate"
)

// Audience is that of the tokens which are for the authority and for nobody else.
const Audience = "meshc-ca"

const (
	// callTime bounds a review: a caller that waits longer has given up.
	callTime = 8 * time.Second
	// atATime bounds the reviews under way: those who have no token at all must not
	// keep the API server busy.
	atATime = 64
	// maxToken is in bytes; a token of a service account has about 1.2 KiB.
	maxToken = 16 << 10
)

// What an API server tells of the pod that a token is bound to.
const (
	podName = "authentication.kubernetes.io/pod-name"
	podUID  = "authentication.kubernetes.io/pod-uid"
)

// Reviewer is an attest.Reviewer: it takes tokens of service accounts that are for
// Audience and bound to a pod that is there and has not ended.
type Reviewer struct {
	td      spiffeid.TrustDomain
	reviews authenticationclient.TokenReviewInterface
	pods    coreclient.PodsGetter
	slots   chan struct{}
}

// New returns a reviewer of the cluster that config leads to, for a trust domain. It
// needs to create TokenReviews and to get Pods.
func New(config *rest.Config, trustDomain string) (*Reviewer, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return nil, fmt.Errorf("trust domain %q: %w", trustDomain, err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // slots bound what is under way, and the server says how much it takes
	reviews, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	pods, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Reviewer{td: td, reviews: reviews.TokenReviews(), pods: pods, slots: make(chan struct{}, atATime)}, nil
}

var errToken = errors.New("the token is not one of a live pod for this authority")

// Review implements attest.Reviewer.
func (r *Reviewer) Review(ctx context.Context, token string) (attest.Grant, error) {
	if len(token) > maxToken {
		return attest.Grant{}, errToken
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return attest.Grant{}, fmt.Errorf("%w: %d reviews are under way", attest.ErrUnavailable, atATime)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}}}
	answer, err := r.reviews.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return attest.Grant{}, fmt.Errorf("%w: %w", attest.ErrUnavailable, err)
	}
	h, err := read(&answer.Status)
	if err != nil {
		return attest.Grant{}, err
	}
	if err := r.live(ctx, h); err != nil {
		return attest.Grant{}, err
	}
	id, err := validate.WorkloadID(fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", r.td.Name(), h.namespace, h.account), r.td)
	if err != nil {
		return attest.Grant{}, err
	}
	return attest.Grant{ID: id, Workload: h.namespace + "/" + h.pod}, nil
}

// holder is whom the API server says that a token is of.
type holder struct{ namespace, account, pod, uid string }

// name is a name of Kubernetes (RFC 1123, dots included): what goes into a SPIFFE ID
// is held to it again here.
var name = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// read takes an answer apart, and refuses what does not say all of it.
func read(s *authenticationv1.TokenReviewStatus) (holder, error) {
	rest, account := strings.CutPrefix(s.User.Username, "system:serviceaccount:")
	switch {
	case !s.Authenticated:
		return holder{}, errToken // s.Error may quote the token
	case !slices.Equal(s.Audiences, []string{Audience}):
		return holder{}, fmt.Errorf("%w: it is not for the audience %q", errToken, Audience)
	case !account:
		return holder{}, fmt.Errorf("%w: it is not of a service account", errToken)
	}
	h := holder{pod: one(s.User.Extra[podName]), uid: one(s.User.Extra[podUID])}
	h.namespace, h.account, _ = strings.Cut(rest, ":")
	for _, part := range []string{h.namespace, h.account} {
		if !name.MatchString(part) {
			return holder{}, fmt.Errorf("%w: it is of %q", errToken, s.User.Username)
		}
	}
	if h.pod == "" || h.uid == "" {
		return holder{}, fmt.Errorf("%w: it is not bound to a pod", errToken)
	}
	return h, nil
}

func one(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// live asks for the pod itself: an API server remembers for a while that a token was
// good (10 s), and a pod that has ended is there until somebody deletes it.
func (r *Reviewer) live(ctx context.Context, h holder) error {
	pod, err := r.pods.Pods(h.namespace).Get(ctx, h.pod, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: pod %s/%s is gone", errToken, h.namespace, h.pod)
	case err != nil:
		return fmt.Errorf("%w: %w", attest.ErrUnavailable, err)
	case string(pod.UID) != h.uid:
		return fmt.Errorf("%w: pod %s/%s is another one by now", errToken, h.namespace, h.pod)
	case pod.Spec.ServiceAccountName != h.account:
		return fmt.Errorf("%w: pod %s/%s runs as another service account", errToken, h.namespace, h.pod)
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return fmt.Errorf("%w: pod %s/%s has ended", errToken, h.namespace, h.pod)
	}
	return nil
}
