package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/admission"
	"github.com/meshc/meshc/reconciler/store/cluster"
)

// injectFlags are those of the role inject. The options are those of `meshc inject`.
type injectFlags struct {
	address       string
	certificate   string
	key           string
	configuration string
	host          string
	options       kube.Options
	drain         time.Duration
}

func (i *injectFlags) register(f *pflag.FlagSet) {
	f.StringVar(&i.address, "inject-address", ":15017", "where the API server asks for the proxies of pods, by HTTPS")
	f.StringVar(&i.certificate, "inject-cert-file", "", "certificate of the webhook, PEM, read again when it changes (default: one that is made here)")
	f.StringVar(&i.key, "inject-key-file", "", "its private key")
	f.StringVar(&i.configuration, "inject-webhook", "meshc-inject", "MutatingWebhookConfiguration that is told to trust the certificate that is made here")
	f.StringVar(&i.host, "inject-host", "meshc-inject.meshc-system.svc", "name of the certificate that is made here")
	f.DurationVar(&i.drain, "inject-drain", 5*time.Second, "how long the webhook answers after it was asked to end, while /ready says no")
	f.BoolVar(&i.options.Classic, "inject-classic", false, "make ordinary containers of proxies, for Kubernetes before 1.29")
	f.StringVar(&i.options.Controller, "inject-controller", kube.DefaultController, "host:port where proxies of pods ask for ADS")
	f.StringVar(&i.options.ControllerID, "inject-controller-id", "", "SPIFFE ID of the controller (default: account meshc-controller in namespace meshc-system)")
	f.StringVar(&i.options.CA, "inject-ca-address", kube.DefaultCA, "host:port where proxies of pods ask for certificates")
	f.StringVar(&i.options.RootMap, "inject-root-config-map", kube.DefaultRootMap, "ConfigMap in the namespace of pods that holds the authority's root as root.pem")
	f.StringVar(&i.options.KeyMap, "inject-key-config-map", kube.DefaultKeyMap, "ConfigMap in the namespace of pods that holds files of keys (jwks) that the mesh names")
}

func (c *config) checkInject() error {
	switch {
	case !c.has(roleInject):
		return nil
	case c.mesh == "":
		return fmt.Errorf("the role inject needs --mesh")
	case c.inject.drain < 0:
		return fmt.Errorf("--inject-drain %s is less than nothing", c.inject.drain)
	case (c.inject.certificate == "") != (c.inject.key == ""):
		return fmt.Errorf("--inject-cert-file and --inject-key-file go together")
	}
	return nil
}

// injectAlone says that this process does nothing but inject.
func (c *config) injectAlone() bool { return len(c.roles) == 1 && c.has(roleInject) }

// startInjectAlone follows what serves, for the webhook alone.
func (p *process) startInjectAlone(ctx context.Context) error {
	c, err := p.newCluster(nil, nil)
	if err != nil {
		return err
	}
	p.background(func() { c.cache.Run(ctx) })
	syncing, done := context.WithTimeoutCause(ctx, syncTime, errors.New("the API server has not answered in time"))
	defer done()
	if err := c.cache.Synced(syncing); err != nil {
		return err
	}
	p.inCluster = c
	return p.startInject(ctx)
}

// startInject serves the webhook where that is a role of this process.
func (p *process) startInject(ctx context.Context) error {
	if !p.has(roleInject) {
		return nil
	}
	certificate := admission.Files(p.inject.certificate, p.inject.key)
	if p.inject.certificate == "" {
		config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
		if err != nil {
			return fmt.Errorf("--kubeconfig: %w", err)
		}
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return err
		}
		made := &admission.SelfMade{Client: client, Configuration: p.inject.configuration, Host: p.inject.host, Log: p.log}
		p.background(func() { made.Run(ctx) })
		certificate = made.Certificate
	} else if _, err := certificate(nil); err != nil {
		return fmt.Errorf("--inject-cert-file: %w", err)
	}
	p.trusted = func() error { _, err := certificate(nil); return err }
	l, err := net.Listen("tcp", p.inject.address)
	if err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	p.log.Info("listening", "for", "inject", "address", l.Addr().String())
	serves := &lastServed{cache: p.inCluster.cache}
	server := &http.Server{
		Handler: &admission.Handler{Mesh: serves.mesh, Options: p.inject.options, Log: p.log}, MaxHeaderBytes: 16 << 10,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate},
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), // of connections that come to nothing
	}
	p.background(func() {
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("inject: %w", err))
		}
	})
	p.onStop(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	return nil
}

// lastServed is the mesh that serves, decoded once.
type lastServed struct {
	cache *cluster.Cache

	mu  sync.Mutex
	key string
	now *model.Mesh
}

// mesh gives the newest mesh of which all is there; nil while there has been none.
func (s *lastServed) mesh() *model.Mesh {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := s.cache.Key(); key != "" && key != s.key {
		if g, err := s.cache.Serving(); err == nil {
			s.key, s.now = key, g.Mesh
		}
	}
	return s.now
}
