// A receiver for cupid's callbacks that appends each of them to a file, one JSON line a callback.
//
//	OUT=callbacks.jsonl go run receiver.go 20000
//
// Standard library only. Settings are environment variables:
//
//	PORT    port on 127.0.0.1, if not given as the argument
//	SECRET  whsec_...; callbacks without its signature are refused with 401
//	OUT     the file; replace `keep` by your own upsert and you do not need it
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	tolerance  = 5 * time.Minute
	bodyLimit  = 16 << 20
	remembered = 10000 // deliveries whose revision is kept in memory
)

var (
	messageID = regexp.MustCompile(`^([!-~]{1,200})-([0-9]{1,18})$`)
	unixTime  = regexp.MustCompile(`^[0-9]{1,12}$`)
)

// callback is the body; a value is text or null, and with "values": "json" also a number or a boolean.
type callback struct {
	Type      int                        `json:"type"`
	SrcColumn map[string]json.RawMessage `json:"srcColumn"`
	DesColumn map[string]json.RawMessage `json:"desColumn"`
}

type receiver struct {
	key []byte // nil: signatures are not checked
	out *os.File

	mu      sync.Mutex       // one callback is checked and written at a time
	written map[string]int64 // delivery -> newest revision written
	order   []string         // its deliveries, first come first forgotten
}

// keep makes the callback last: put your upsert by key here. An error makes cupid come again.
func (r *receiver) keep(id string, body []byte, _ callback) error {
	line, err := json.Marshal(map[string]any{"id": id, "body": json.RawMessage(body)})
	if err != nil {
		return err
	}
	_, err = r.out.Write(append(line, '\n'))
	return err
}

// receive keeps one callback unless the same or a newer one of this row is kept already.
func (r *receiver) receive(id string, body []byte, c callback) error {
	parts := messageID.FindStringSubmatch(id)
	revision, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	newest, known := r.written[parts[1]]
	if known && revision <= newest {
		return nil
	}
	if err := r.keep(id, body, c); err != nil {
		return err
	}
	r.written[parts[1]] = revision // only now: what failed must be accepted when it comes again
	if !known {
		r.order = append(r.order, parts[1])
	}
	if len(r.order) > remembered {
		delete(r.written, r.order[0])
		r.order = r.order[1:]
	}
	return nil
}

// signed tells whether one of the signatures is ours and the timestamp is near.
func signed(key []byte, h http.Header, body []byte, now time.Time) bool {
	stamp := h.Get("webhook-timestamp")
	if !unixTime.MatchString(stamp) {
		return false
	}
	seconds, _ := strconv.ParseInt(stamp, 10, 64)
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return false
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, h.Get("webhook-id")+"."+stamp+".")
	mac.Write(body)
	wanted := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	good := false
	for _, given := range strings.Split(h.Get("webhook-signature"), " ") {
		good = hmac.Equal(wanted, []byte(given)) || good // in constant time
	}
	return good
}

// check returns the callback, or what is wrong with it.
func check(id string, body []byte) (callback, error) {
	var c callback
	if !messageID.MatchString(id) {
		return c, errors.New("webhook-id is not <delivery>-<revision>")
	}
	if !utf8.Valid(body) || json.Unmarshal(body, &c) != nil {
		return c, errors.New("the body is not a callback")
	}
	switch {
	case c.Type < 1 || c.Type > 3:
		return c, errors.New("type is not 1, 2 or 3")
	case c.Type == 3 && c.DesColumn == nil:
		return c, errors.New("desColumn is not an object")
	case c.Type != 3 && c.SrcColumn == nil:
		return c, errors.New("srcColumn is not an object")
	}
	return c, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "cupid sends POST", http.StatusMethodNotAllowed)
		return
	}
	if req.ContentLength > bodyLimit {
		w.Header().Set("Connection", "close")
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, bodyLimit))
	if err != nil {
		http.Error(w, "the body ended early or is too large", http.StatusBadRequest)
		return
	}
	if r.key != nil && !signed(r.key, req.Header, body, time.Now()) {
		http.Error(w, "the signature or its timestamp is wrong", http.StatusUnauthorized)
		return
	}
	id := req.Header.Get("webhook-id")
	c, err := check(id, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := r.receive(id, body, c); err != nil {
		log.Printf("not written: %v", err)
		http.Error(w, "not written", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// secretKey returns the bytes behind whsec_.
func secretKey(secret string) ([]byte, error) {
	if secret == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") || len(key) < 24 {
		return nil, errors.New("SECRET must be whsec_ and the base64 of at least 24 bytes")
	}
	return key, nil
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	port := env("PORT", "20000")
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	key, err := secretKey(os.Getenv("SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	out, err := os.OpenFile(env("OUT", "callbacks.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s, signatures checked: %t", listener.Addr(), key != nil)
	server := &http.Server{
		Handler:           &receiver{key: key, out: out, written: map[string]int64{}},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Fatal(server.Serve(listener))
}
