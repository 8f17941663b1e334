package witness

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// Config is what a Witness needs; fields without a default are required.
type Config struct {
	Dir      string          // where it remembers; made if not there
	Cosigner *audit.Cosigner // its key
	Origins  []note.Verifier // keys of the logs that it witnesses, each named as the log's origin
	Log      *slog.Logger
	Now      func() time.Time // default time.Now
}

// Witness cosigns checkpoints over HTTP: POST /add-checkpoint.
type Witness struct {
	cfg    Config
	folder *folder
	logs   map[string]*watched // by origin
}

// watched is one log.
type watched struct {
	verifier note.Verifier

	mu   sync.Mutex // held from the comparison to the synced file
	head head
}

// Open reads what the witness remembers of each log.
func Open(cfg Config) (*Witness, error) {
	if cfg.Dir == "" || cfg.Cosigner == nil || len(cfg.Origins) == 0 || cfg.Log == nil {
		return nil, errors.New("witness: Dir, Cosigner, Origins and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := &Witness{cfg: cfg, folder: f, logs: map[string]*watched{}}
	for _, v := range cfg.Origins {
		h, err := f.load(v)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		w.logs[v.Name()] = &watched{verifier: v, head: h}
	}
	return w, nil
}

// Close gives the folder free.
func (w *Witness) Close() error { return w.folder.close() }

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.URL.Path != "/add-checkpoint" {
		http.Error(out, "there is only POST /add-checkpoint", http.StatusNotFound)
		return
	}
	if in.Method != http.MethodPost {
		out.Header().Set("Allow", http.MethodPost)
		http.Error(out, "want POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, maxBody))
	if err != nil {
		http.Error(out, ErrRequest.Error(), http.StatusBadRequest)
		return
	}
	line, known, status := w.add(in.Context(), body)
	switch status {
	case http.StatusOK:
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = out.Write(line) // a log that went away asks again
	case http.StatusConflict:
		out.Header().Set("Content-Type", sizeType)
		out.WriteHeader(status)
		_, _ = io.WriteString(out, strconv.FormatInt(known, 10)+"\n")
	default:
		http.Error(out, http.StatusText(status), status)
	}
}

// add answers one request: the cosignature, or the size that is known, or why not.
func (w *Witness) add(ctx context.Context, body []byte) (line []byte, known int64, status int) {
	r, err := parseRequest(body)
	if err != nil {
		return nil, 0, http.StatusBadRequest
	}
	origin, _, _ := strings.Cut(string(r.checkpoint), "\n")
	l, ok := w.logs[origin]
	if !ok {
		return nil, 0, http.StatusNotFound
	}
	size, root, err := audit.OpenCheckpoint(r.checkpoint, l.verifier)
	if err != nil {
		return nil, 0, http.StatusForbidden
	}
	if r.old > size {
		return nil, 0, http.StatusBadRequest
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if size == l.head.size && root != l.head.root {
		w.fork(ctx, origin, size, r.checkpoint)
		return nil, l.head.size, http.StatusConflict
	}
	if r.old != l.head.size {
		return nil, l.head.size, http.StatusConflict
	}
	if !begins(l.head, head{size, root}, r.proof) {
		w.cfg.Log.WarnContext(ctx, "refused a checkpoint that does not continue the signed tree", slog.String("origin", origin), slog.Int64("size", size))
		return nil, 0, http.StatusUnprocessableEntity
	}
	if size > l.head.size {
		if err := w.folder.keep(origin, "checkpoint", r.checkpoint); err != nil {
			w.cfg.Log.ErrorContext(ctx, "state not written; nothing signed", slog.Any("err", err))
			return nil, 0, http.StatusInternalServerError
		}
		l.head = head{size, root}
	}
	if line, err = w.cfg.Cosigner.Cosign(r.checkpoint, w.cfg.Now()); err != nil {
		return nil, 0, http.StatusInternalServerError
	}
	return line, 0, http.StatusOK
}

// begins reports whether the proof shows that the newer tree begins with the older.
func begins(older, newer head, proof []tlog.Hash) bool {
	if older.size == 0 || older.size == newer.size {
		return len(proof) == 0
	}
	return tlog.CheckTree(proof, newer.size, newer.root, older.size, older.root) == nil
}

// fork keeps what proves, with the checkpoint that was signed, that the log's key
// signed two trees of one size.
func (w *Witness) fork(ctx context.Context, origin string, size int64, checkpoint []byte) {
	w.cfg.Log.ErrorContext(ctx, "the log signed two trees of one size", slog.String("origin", origin), slog.Int64("size", size))
	if w.folder.has(origin, "fork") {
		return
	}
	if err := w.folder.keep(origin, "fork", checkpoint); err != nil {
		w.cfg.Log.ErrorContext(ctx, "proof of the fork not kept", slog.Any("err", err))
	}
}
