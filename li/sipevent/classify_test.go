package sipevent_test

import (
	"bytes"
	"testing"

	"github.com/ligate/ligate/li/sipevent"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const (
		plain  = "To: <sip:b@example.com>\r\n"
		tagged = "t : <sip:b@example.com;tag=no>\r\n ; tag = x\r\n"
	)
	request := func(method, to string) string {
		return method + " sip:b@example.com SIP/2.0\r\n" + to + "CSeq: 1 " + method + "\r\n\r\n"
	}
	response := func(status, method, to string) string {
		return "SIP/2.0 " + status + " x\r\n" + to + "CSeq: 1 " + method + "\r\n\r\n"
	}
	tests := map[string]struct {
		msg       string
		confirmed bool
		want      sipevent.Event
	}{
		"initial INVITE":            {request("INVITE", plain), false, sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}},
		"re-INVITE":                 {request("INVITE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE"}},
		"ringing":                   {response("180", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 180}},
		"answer":                    {response("200", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 200}},
		"busy":                      {response("486", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.End, Method: "INVITE", Status: 486}},
		"challenge":                 {response("407", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 407}},
		"failed re-INVITE":          {response("488", "INVITE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 488}},
		"ACK":                       {request("ACK", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "ACK"}},
		"BYE":                       {request("BYE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "BYE"}},
		"answer to BYE":             {response("200", "BYE", tagged), true, sipevent.Event{Stage: sipevent.End, Method: "BYE", Status: 200}},
		"CANCEL":                    {request("CANCEL", plain), false, sipevent.Event{Stage: sipevent.Continue, Method: "CANCEL"}},
		"REGISTER":                  {request("REGISTER", plain), false, sipevent.Event{Stage: sipevent.Report, Method: "REGISTER"}},
		"answer to REGISTER":        {response("200", "REGISTER", tagged), false, sipevent.Event{Stage: sipevent.Report, Method: "REGISTER", Status: 200}},
		"INFO in a dialog":          {request("INFO", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INFO"}},
		"unknown method in dialog":  {request("XYZZY", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "OTHER"}},
		"REGISTER with a To tag":    {request("REGISTER", tagged), true, sipevent.Event{Stage: sipevent.Report, Method: "REGISTER"}},
		"PUBLISH beside a call":     {response("200", "PUBLISH", tagged), true, sipevent.Event{Stage: sipevent.Report, Method: "PUBLISH", Status: 200}},
		"OPTIONS":                   {request("OPTIONS", plain), false, sipevent.Event{Stage: sipevent.Report, Method: "OPTIONS"}},
		"OPTIONS in a dialog":       {request("OPTIONS", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "OPTIONS"}},
		"answer to MESSAGE":         {response("202", "MESSAGE", tagged), false, sipevent.Event{Stage: sipevent.Report, Method: "MESSAGE", Status: 202}},
		"answer to MESSAGE in call": {response("202", "MESSAGE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "MESSAGE", Status: 202}},
		"answer to PRACK":           {response("200", "PRACK", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "PRACK", Status: 200}},
		"answer to CANCEL":          {response("200", "CANCEL", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "CANCEL", Status: 200}},
		"cancelled":                 {response("487", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.End, Method: "INVITE", Status: 487}},
		"redirected":                {response("302", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.End, Method: "INVITE", Status: 302}},
		"ACK of a failure":          {request("ACK", plain), false, sipevent.Event{Stage: sipevent.Continue, Method: "ACK"}},
		"BYE challenged":            {response("401", "BYE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "BYE", Status: 401}},
		"BYE of no call":            {response("481", "BYE", tagged), true, sipevent.Event{Stage: sipevent.End, Method: "BYE", Status: 481}},
		"provisional to BYE":        {response("100", "BYE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "BYE", Status: 100}},
		"response without CSeq":     {"SIP/2.0 200 OK\r\n\r\n", false, sipevent.Event{Stage: sipevent.Report, Method: "OTHER", Status: 200}},
		"unknown method, no dialog": {request("XYZZY", plain), false, sipevent.Event{Stage: sipevent.Report, Method: "OTHER"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := sipevent.Classify([]byte(tt.msg), tt.confirmed)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			back, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, got))
			if err != nil || back != got {
				t.Errorf("round trip: %+v, %v", back, err)
			}
		})
	}
	for name, to := range map[string]string{
		"in a display name": "To: \"a;tag=1\" <sip:b@h>\r\n",
		"in the URI":        "To: <sip:b@h;tag=1>\r\n",
		"in a parameter":    "To: <sip:b@h>;x=\">;tag=1\\\";tag=2\"\r\n",
		"without a value":   "To: <sip:b@h>;tag\r\n",
		"behind the body":   "Via: x\r\n\r\nTo: <sip:b@h>;tag=1\r\n",
		"in a second To":    "To: <sip:b@h>\r\nTo: <sip:b@h>;tag=1\r\n",
	} {
		if e, err := sipevent.Classify([]byte(request("INVITE", to)), false); err != nil || e.Stage != sipevent.Begin {
			t.Errorf("tag %s: %+v, %v; want Begin", name, e, err)
		}
	}
	for name, to := range map[string]string{
		"plain":             "To: sip:b@h;tag=1\r\n",
		"compact, folded":   "t: \"b\\\"\" <sip:b@h>\r\n ;x=y;TAG = 1\r\n",
		"after a quotation": "To: \"a\" <sip:b@h> ; tag=1\r\n",
	} {
		if e, err := sipevent.Classify([]byte(request("INVITE", to)), false); err != nil || e.Stage != sipevent.Continue {
			t.Errorf("tag %s: %+v, %v; want Continue", name, e, err)
		}
	}
	for _, bad := range []string{"", "INVITE", "INVITE sip:x\r\n\r\n", "SIP/2.0 99 x\r\n\r\n", "SIP/2.0 7000 x\r\n\r\n"} {
		if e, err := sipevent.Classify([]byte(bad), false); err == nil {
			t.Errorf("%q gave %+v", bad, e)
		}
	}
}

func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]string{
		"nothing": "", "no method": "\x01\x00\x00", "stage 0": "\x00\x00\x00ACK", "stage 5": "\x05\x00\x00ACK",
		"status 99": "\x02\x00\x63ACK", "status 700": "\x02\x02\xbcACK", "other text": "\x02\x00\x00alice@example.com",
		"method in lower case": "\x02\x00\x00ack",
	} {
		if e, err := sipevent.DecodeEvent([]byte(b)); err != sipevent.ErrEvent || e != (sipevent.Event{}) {
			t.Errorf("%s: got %+v, %v", name, e, err)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte("\x03\x01\xe6INVITE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := sipevent.DecodeEvent(b)
		if err != nil {
			return
		}
		if again := sipevent.AppendEvent(nil, e); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("SIP/2.0 486 x\r\nt: \"\\\">\" <a>;tag=1\r\n ;x\r\nCSeq: 1 INVITE\r\n\r\n"), true)
	f.Add([]byte("INVITE sip:b SIP/2.0\r\nTo: x\r\nCSeq: 1 INVITE\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, confirmed bool) {
		e, err := sipevent.Classify(b, confirmed)
		if err != nil {
			return
		}
		if back, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, e)); err != nil || back != e {
			t.Fatalf("%+v came back as %+v, %v", e, back, err)
		}
	})
}

// An end that the network element found by itself survives the wire, and nothing else
// may have its method.
func TestEndWithoutMessage(t *testing.T) {
	t.Parallel()
	for _, method := range []string{sipevent.NoMedia, sipevent.Idle} {
		e := sipevent.Event{Stage: sipevent.End, Method: method}
		if got, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, e)); err != nil || got != e {
			t.Errorf("%s: %+v, %v", method, got, err)
		}
		for _, bad := range []sipevent.Event{{Stage: sipevent.Continue, Method: method}, {Stage: sipevent.End, Method: method, Status: 200}} {
			if _, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, bad)); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	}
}
