package sipevent_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ligate/ligate/li/sipevent"
)

func sip(method, headers, body string) []byte {
	return []byte(method + " sip:bob@example.net SIP/2.0\r\nCSeq: 1 " + method + "\r\n" + headers + "\r\n" + body)
}

func TestWithoutContent(t *testing.T) {
	t.Parallel()
	sdp := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
	multi := "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
	for name, row := range map[string]struct {
		msg        []byte
		keep, gone []string
	}{
		"a call keeps its session description":  {sip("INVITE", "Content-Type: application/sdp\r\n", sdp), []string{sdp}, nil},
		"the text of a MESSAGE goes":            {sip("MESSAGE", "Content-Type: text/plain\r\nContent-Length: 6\r\n", "secret"), []string{"Content-Length: 6"}, []string{"secret"}},
		"so does its compact form":              {sip("MESSAGE", "c: message/cpim\r\n", "secret"), nil, []string{"secret"}},
		"a MESSAGE that calls itself SDP":       {sip("MESSAGE", "Content-Type: application/sdp\r\n", "secret"), nil, []string{"secret"}},
		"keys pressed in INFO":                  {sip("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=5"), nil, []string{"Signal"}},
		"a body without a type":                 {sip("INFO", "", "secret"), nil, []string{"secret"}},
		"SMS over IP":                           {sip("INFO", "Content-Type: application/vnd.3gpp.sms\r\n", "secret"), nil, []string{"secret"}},
		"where the caller is":                   {sip("INVITE", "Content-Type: application/pidf+xml\r\n", "<presence/>"), []string{"<presence/>"}, nil},
		"a part without an empty line":          {sip("INVITE", "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\nContent-Type: text/plain\n\nsecret\r\n--b--"), nil, []string{"secret"}},
		"a message in a fragment":               {sip("NOTIFY", "Content-Type: message/sipfrag\r\n", "MESSAGE sip:a@b SIP/2.0\r\n\r\nsecret"), nil, []string{"secret"}},
		"two types":                             {sip("INFO", "Content-Type: application/sdp\r\nContent-Type: text/plain\r\n", "secret"), nil, []string{"secret"}},
		"headers that end in line feeds":        {[]byte("MESSAGE sip:b@c SIP/2.0\r\nCSeq: 1 MESSAGE\n\nsecret"), nil, []string{"secret"}},
		"no body":                               {sip("BYE", "", ""), []string{"CSeq: 1 BYE\r\n\r\n"}, nil},
		"of several parts the session is kept":  {sip("INVITE", multi, "--b1\r\nContent-Type: application/sdp\r\n\r\n"+sdp+"\r\n--b1\r\nContent-Type: text/plain\r\n\r\nsecret\r\n--b1--\r\n"), []string{sdp, "text/plain", "--b1--"}, []string{"secret"}},
		"parts that do not end":                 {sip("INVITE", multi, "--b1\r\nContent-Type: application/sdp\r\n\r\nsecret\r\n"), nil, []string{"secret"}},
		"a multipart body without its boundary": {sip("INVITE", "Content-Type: multipart/mixed\r\n", "--x\r\n\r\nsecret\r\n--x--"), nil, []string{"secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := bytes.Clone(row.msg)
			got := string(sipevent.WithoutContent(row.msg))
			for _, s := range row.keep {
				if !strings.Contains(got, s) {
					t.Errorf("%q is gone: %q", s, got)
				}
			}
			for _, s := range row.gone {
				if strings.Contains(got, s) {
					t.Errorf("%q is still there", s)
				}
			}
			if !bytes.Equal(before, row.msg) {
				t.Error("the message itself was changed")
			}
		})
	}
}

func FuzzWithoutContent(f *testing.F) {
	f.Add(sip("INVITE", "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n"))
	f.Add(sip("MESSAGE", "c: text/plain\r\n", "x"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		got := sipevent.WithoutContent(msg)
		if !bytes.Equal(before, msg) {
			t.Fatal("the message itself was changed")
		}
		end := bytes.Index(msg, []byte("\r\n\r\n"))
		if end >= 0 && !bytes.HasPrefix(got, msg[:end+4]) {
			t.Fatal("headers were changed")
		}
	})
}
