package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ligate/ligate/internal/pki"
)

// apiFlags say where the API is and who asks.
type apiFlags struct {
	API    string `env:"LIGATE_API" default:"https://127.0.0.1:8440" help:"Base URL of the API."`
	Server string `env:"LIGATE_SERVER" required:"" help:"SHA-256 fingerprint of the API's certificate (printed at start, and in the operator's secrets folder)."`
	Cert   string `env:"LIGATE_CERT" type:"existingfile" help:"Your certificate (PEM)."`
	Key    string `env:"LIGATE_KEY" type:"existingfile" help:"Your key (PEM)."`
	Token  string `env:"LIGATE_TOKEN_FILE" type:"existingfile" help:"File with a session's or a machine's token, instead of certificate and key."`
}

const apiTimeout = 30 * time.Second

// apiClient speaks JSON with the API as one person.
type apiClient struct {
	base  string
	http  *http.Client
	token string // empty: the certificate says who asks
}

func (f apiFlags) client() (*apiClient, error) {
	if !validFingerprint(f.Server) {
		return nil, usagef("--server: want the SHA-256 of the API's certificate: 64 lower-case hexadecimal digits")
	}
	if f.Token != "" {
		token, err := os.ReadFile(f.Token)
		if err != nil {
			return nil, &usageError{fmt.Errorf("read token: %w", err)}
		}
		return f.with(tls.Certificate{}, strings.TrimSpace(string(token))), nil
	}
	if f.Cert == "" || f.Key == "" {
		return nil, usagef("want --cert and --key, or --token")
	}
	own, err := pki.Load(f.Cert, f.Key)
	if err != nil {
		return nil, &usageError{err}
	}
	return f.with(own, ""), nil
}

// with makes the client of who shows a certificate, or a token, or yet nothing.
func (f apiFlags) with(own tls.Certificate, token string) *apiClient {
	cfg := pki.Client(own, f.Server)
	if own.Certificate == nil {
		cfg.Certificates = nil
	}
	return &apiClient{
		base:  strings.TrimSuffix(f.API, "/"),
		http:  &http.Client{Timeout: apiTimeout, Transport: &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}},
		token: token,
	}
}

// userAgent is the same in all versions: sessions are bound to it.
const userAgent = "ligate"

// problem is an RFC 9457 answer.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p *problem) Error() string {
	text := fmt.Sprintf("%s (%d)", p.Title, p.Status)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, e := range p.Errors {
		text += "\n  " + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return text
}

// header is one request header.
type header struct{ name, value string }

// do sends body as JSON (nil = none) and decodes the answer into out (nil =
// discard). It returns the answer's ETag.
func (c *apiClient) do(ctx context.Context, method, path string, body, out any, headers ...header) (etag string, err error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return "", fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", userAgent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the API: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= http.StatusBadRequest {
		return "", readProblem(resp)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.Header.Get("ETag"), err
	}
	if w, ok := out.(io.Writer); ok {
		_, err = io.Copy(w, resp.Body)
		return resp.Header.Get("ETag"), err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return "", fmt.Errorf("read the API's answer: %w", err)
	}
	return resp.Header.Get("ETag"), nil
}

func readProblem(resp *http.Response) error {
	p := &problem{Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p) // a body that is no problem+json leaves the status line
	if resp.StatusCode < http.StatusInternalServerError {
		return &usageError{p}
	}
	return p
}
