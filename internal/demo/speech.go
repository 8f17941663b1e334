package demo

import _ "embed"

// Speech is what each side of a call says: 8 kHz G.711 A-law, one octet a sample.
type Speech []byte

//go:embed speech/subscriber.al
var subscriberSpeech []byte

//go:embed speech/pstn.al
var pstnSpeech []byte

// SubscriberSpeech is what a subscriber's phone says.
func SubscriberSpeech() Speech { return whole(subscriberSpeech) }

// PSTNSpeech is what the far party says.
func PSTNSpeech() Speech { return whole(pstnSpeech) }

// FrameSamples is 20 ms of 8 kHz audio, the payload of one RTP packet.
const FrameSamples = 160

// whole cuts to full packets, so that every sample sent fills one.
func whole(s []byte) Speech { return Speech(s[:len(s)/FrameSamples*FrameSamples]) }

// Seconds returns the first n seconds.
func (s Speech) Seconds(n int) Speech { return s[:min(len(s), n*8000)] }
