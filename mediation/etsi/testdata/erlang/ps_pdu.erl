%% Reads and writes PS-PDUs with the codec that Erlang's ASN.1 compiler made of the
%% schemas in ../asn1. erlang_test.go runs it once, in a directory with
%%
%%   stream.ber    PS-PDUs back to back; each becomes a line of stream.txt
%%   broken.hex    one PS-PDU a line; each becomes "read" or "refused" in broken.txt
%%
%% and finds in foreign.txt the PDUs of foreign/0, one a line: name, space, hex.
-module(ps_pdu).
-export([main/1]).

main([Dir]) ->
    try
        stream(Dir),
        broken(Dir),
        foreign(Dir),
        halt(0)
    catch
        C:R:S ->
            io:format(standard_error, "~p: ~p~n~p~n", [C, R, S]),
            halt(1)
    end.

stream(Dir) ->
    {ok, B} = file:read_file(filename:join(Dir, "stream.ber")),
    {ok, Out} = file:open(filename:join(Dir, "stream.txt"), [write, raw, {delayed_write, 1 bsl 20, 2000}]),
    lines(B, Out),
    ok = file:close(Out).

%% The first PDU that is refused ends the stream: nobody knows where the next begins.
lines(<<>>, _) ->
    ok;
lines(B, Out) ->
    case first(B) of
        {ok, P, Size} ->
            ok = file:write(Out, [show(opened(P)), $\n]),
            <<_:Size/binary, Rest/binary>> = B,
            lines(Rest, Out);
        {error, _} ->
            ok = file:write(Out, "refused\n")
    end.

%% The codec copies what follows a PDU, so it first sees a window of the stream, and
%% the whole of it only where that is too small.
-define(WINDOW, 8192).

first(B) when byte_size(B) > ?WINDOW ->
    case 'LI-PS-PDU':decode('PS-PDU', binary:part(B, 0, ?WINDOW)) of
        {ok, P, Rest} -> {ok, P, ?WINDOW - byte_size(Rest)};
        {error, _} -> whole(B)
    end;
first(B) ->
    whole(B).

whole(B) ->
    case 'LI-PS-PDU':decode('PS-PDU', B) of
        {ok, P, Rest} -> {ok, P, byte_size(B) - byte_size(Rest)};
        Error -> Error
    end.

%% Shows what an encryptionContainer without encryption contains.
opened(#{payload := {encryptionContainer, #{encryptionType := none, encryptedPayload := B} = C}} = P) ->
    {ok, E, <<>>} = 'LI-PS-PDU':decode('EncryptedPayload', B),
    P#{payload := {encryptionContainer, C#{encryptedPayload := E}}};
opened(P) ->
    P.

%% One text for one value: members by name, octets in hexadecimal or as size and MD5,
%% strings as lists of character codes.
show(M) when is_map(M) ->
    [${, lists:join($,, [[atom_to_list(K), $=, show(V)] || {K, V} <- lists:sort(maps:to_list(M))]), $}];
show(T) when is_tuple(T) -> [$(, lists:join($,, [show(V) || V <- tuple_to_list(T)]), $)];
show(L) when is_list(L) -> [$[, lists:join($,, [show(V) || V <- L]), $]];
show(A) when is_atom(A) -> atom_to_list(A);
show(I) when is_integer(I) -> integer_to_list(I);
show(B) when byte_size(B) =< 32 -> [$<, binary:encode_hex(B), $>];
show(B) -> [$<, integer_to_list(byte_size(B)), $:, binary:encode_hex(erlang:md5(B)), $>].

broken(Dir) ->
    {ok, B} = file:read_file(filename:join(Dir, "broken.hex")),
    Lines = binary:split(B, <<"\n">>, [global, trim]),
    ok = file:write_file(filename:join(Dir, "broken.txt"), [[verdict(binary:decode_hex(L)), $\n] || L <- Lines]).

verdict(B) ->
    case 'LI-PS-PDU':decode('PS-PDU', B) of
        {ok, _, <<>>} -> "read";
        _ -> "refused"
    end.

foreign(Dir) ->
    Lines = [[Name, $\s, binary:encode_hex(encode('PS-PDU', P)), $\n] || {Name, P} <- foreign()],
    ok = file:write_file(filename:join(Dir, "foreign.txt"), Lines).

encode(Type, V) ->
    {ok, B} = 'LI-PS-PDU':encode(Type, V),
    B.

pdu(Payload) -> pdu(header(), Payload).

pdu(Header, Payload) -> #{pSHeader => Header, payload => Payload}.

header() ->
    (bare())#{
        authorizationCountryCode => "SE",
        communicationIdentifier => #{
            networkIdentifier => #{operatorIdentifier => <<"OP-1">>, networkElementIdentifier => <<"NE-1">>},
            communicationIdentityNumber => 1,
            deliveryCountryCode => "SE"
        },
        microSecondTimeStamp => micro(1700000000, 123456),
        timeStampQualifier => timeOfInterception
    }.

%% Only what is mandatory.
bare() ->
    #{
        'li-psDomainId' => {0, 4, 0, 2, 2, 5, 1, 43},
        lawfulInterceptionIdentifier => <<"LIID-0001">>,
        communicationIdentifier => #{networkIdentifier => #{operatorIdentifier => <<"OP-1">>}},
        sequenceNumber => 0
    }.

micro(S, U) -> #{seconds => S, microSeconds => U}.

iri(Contents) -> #{iRIType => 'iRI-Begin', iRIContents => {iPMMIRI, Contents}}.

ipmmiri(Alternative) -> #{iPMMIRIObjId => {5, 5, 17, 1}, iPMMIRIContents => Alternative}.

sip() -> sip(v4(192, 0, 2, 1), v4(192, 0, 2, 2)).

sip(Src, Dst) -> #{iPSourceAddress => Src, iPDestinationAddress => Dst, sIPContent => <<"INVITE">>}.

v4(A, B, C, D) -> #{'iP-type' => iPV4, 'iP-value' => {iPBinaryAddress, <<A, B, C, D>>}}.

cc() -> cc(#{}).

cc(More) ->
    #{cCContents => {iPMMCC, maps:merge(#{iPMMCCObjId => {5, 5, 17, 2}, mMCCContents => <<"packet">>}, More)}}.

tri(V) -> pdu({tRIPayload, V}).

hi1(V) -> pdu({'hI1-Operation', V}).

local(T) -> {localTime, #{generalizedTime => T, winterSummerIndication => summerTime}}.

%% Maps have no order: asn1ct puts the members in that of the schema.
foreign() ->
    headers() ++ iris() ++ ccs() ++ links() ++ notifications() ++ others().

headers() ->
    Keepalive = {tRIPayload, {'keep-alive', 'NULL'}},
    Full = (header())#{
        timeStamp => "20231114221320Z",
        interceptionPointID => "gw 1",
        extendedInterceptionPointID => <<"gateway one">>,
        networkFunctionIdentifier => <<"function">>,
        timeStampQualifier => timeOfAggregation,
        communicationIdentifier => #{
            networkIdentifier => #{
                operatorIdentifier => <<"OP-1">>,
                networkElementIdentifier => <<0, 255>>,
                eTSI671NEID => {'iP-Format', <<"192.0.2.9">>}
            },
            communicationIdentityNumber => 4294967295,
            deliveryCountryCode => "NO",
            cINExtension => {'iri-to-iri', <<"x">>}
        },
        sequenceNumber => 4294967295
    },
    [
        {"header-bare", pdu(bare(), Keepalive)},
        {"header-full", pdu(Full, Keepalive)},
        {"header-generalized", pdu((bare())#{timeStamp => "20231114231320.5+0100"}, Keepalive)},
        {"header-epoch", pdu((bare())#{microSecondTimeStamp => micro(0, 0)}, Keepalive)}
        | [
            {"header-version-" ++ integer_to_list(V),
                pdu((header())#{'li-psDomainId' := {0, 4, 0, 2, 2, 5, 1, V}}, Keepalive)}
         || V <- [1, 17, 127, 128, 300]
        ]
    ].

iris() ->
    Each = [
        (iri(ipmmiri({sIPMessage, sip()})))#{
            iRIType := 'iRI-Continue', microSecondTimeStamp => micro(1700000001, 1), timeStampQualifier => timeOfMediation
        },
        (iri(ipmmiri({iRIOnlySIPMessage, sip()})))#{iRIType := 'iRI-End', timeStamp => "20231114221322.25Z"},
        maps:remove(iRIType, iri(ipmmiri({sIPMessage, sip()})))
    ],
    Located = (ipmmiri({sIPMessage, sip()}))#{
        targetLocation => #{wlanLocationAttributes => #{wlanAPMACAddress => <<1, 2, 3, 4, 5, 6>>}},
        additionalSignalling => [{sipHeaderLine, <<"Contact: tel:+1">>}]
    },
    Text = #{'iP-type' => iPV6, 'iP-value' => {iPTextAddress, "2001:db8::1/64"}, 'iP-assignment' => static},
    Masked = (v4(192, 0, 2, 2))#{
        'iP-assignment' => dynamic, iPv4SubnetMask => <<255, 255, 255, 248>>, 'iP-NAT-translated' => true
    },
    V6 = #{
        'iP-type' => iPV6,
        'iP-value' => {iPBinaryAddress, <<32, 1, 13, 184, 0:88, 7>>},
        'iP-assignment' => notKnown,
        iPv6PrefixLength => 128
    },
    Directed = (iri(Located))#{iRIType := 'iRI-Report', sessionDirection => toTarget, payloadDirection => combined},
    [
        {"iri-aggregated", pdu((bare())#{timeStampQualifier => timeOfAggregation}, {iRIPayloadSequence, Each})},
        {"iri-none", pdu({iRIPayloadSequence, []})},
        {"iri-full", pdu({iRIPayloadSequence, [Directed]})},
        {"iri-addresses", pdu({iRIPayloadSequence, [
            iri(ipmmiri({sIPMessage, sip(Text, V6)})), iri(ipmmiri({sIPMessage, sip(Masked, Masked)}))]})},
        {"iri-packets", pdu({iRIPayloadSequence, [iri(ipmmiri({A, <<"packet">>}))
         || A <- [originalIPMMMessage, iRIOnlyOriginalIPMMMessage, xCAPMessage, iRIOnlyRTPPacket]]})},
        {"iri-old-version", pdu({iRIPayloadSequence, [
            iri((ipmmiri({sIPMessage, sip()}))#{iPMMIRIObjId := {5, 5, 8, 1}})]})},
        {"iri-h323", pdu({iRIPayloadSequence, [iri(ipmmiri({h323Message, #{
            iPSourceAddress => V6, iPDestinationAddress => V6,
            h323Content => {h225CSMessageContent, <<1>>}}}))]})},
        {"iri-national", pdu({iRIPayloadSequence, [
            iri(ipmmiri({sIPMessage, sip()})), iri(ipmmiri({nationalIPMMIRIParameters, #{countryCode => "SE"}}))]})}
    ].

ccs() ->
    Frames = [ipFrame, udpFrame, rtpFrame, audioFrame, tcpFrame, artificialRtpFrame, udptlFrame, msrpFrame],
    Directions = [fromTarget, toTarget, indeterminate, combined, notapplicable],
    Each = [
        (cc(#{frameType => rtpFrame}))#{payloadDirection => toTarget, microSecondTimeStamp => micro(1700000001, 1)},
        (cc(#{frameType => rtpFrame}))#{
            payloadDirection => fromTarget, timeStamp => "20231114221322.25Z", timeStampQualifier => timeOfMediation
        },
        (cc())#{timeStamp => "20231114221323Z", microSecondTimeStamp => micro(1700000003, 999999)}
    ],
    [
        {"cc-aggregated", pdu({cCPayloadSequence, Each})},
        {"cc-frames", pdu({cCPayloadSequence, [cc(#{frameType => F}) || F <- Frames]})},
        {"cc-directions", pdu({cCPayloadSequence, [(cc())#{payloadDirection => D} || D <- Directions]})},
        {"cc-protocols", pdu({cCPayloadSequence, [
            cc(#{mMCCprotocol => P, streamIdentifier => <<"m=audio">>}) || P <- [rTP, mSRP, uDPTL]]})},
        {"cc-old-version", pdu({cCPayloadSequence, [cc(#{iPMMCCObjId => {5, 5, 300, 2}})]})},
        {"cc-300", pdu({cCPayloadSequence, [cc(#{mMCCContents => binary:copy(<<7>>, 300)})]})}
    ].

links() ->
    Check = #{includedSequenceNumbers => [0, 127, 128, 65536, 4294967295], checkType => hash, checkValue => <<1, 2>>},
    Ack = {pDUAcknowledgement, 'NULL'},
    [
        {"tri-" ++ atom_to_list(T), tri({T, 'NULL'})}
     || T <- [
            testPDU, 'keep-alive', 'keep-aliveResponse', firstSegmentFlag, lastSegmentFlag, cINReset,
            optionComplete, pDUAcknowledgementRequest, pDUAcknowledgementResponse
        ]
    ] ++
        [
            {"tri-paddingPDU", tri({paddingPDU, <<"anything">>})},
            {"check-bare", tri({integrityCheck, Check})},
            {"check-hash", tri({integrityCheck, Check#{dataType => cC, hashAlgorithm => 'sHA-512'}})},
            {"check-signature", tri({integrityCheck, Check#{
                includedSequenceNumbers := [], checkType := signature, dataType => iLHI, hashAlgorithm => 'sHA-1',
                signatureAlgorithm => edDSA}})},
            {"message-error", tri({operatorLeaMessage, #{messagePriority => error, message => <<"lost">>}})},
            {"message-informational", tri({operatorLeaMessage, #{messagePriority => informational, message => <<"all well">>}})},
            {"option-request", tri({optionRequest, #{requestedOptions => [Ack]}})},
            {"option-request-none", tri({optionRequest, #{requestedOptions => []}})},
            {"option-accepted", tri({optionResponse, #{acceptedOptions => [Ack], declinedOptions => []}})},
            {"option-declined", tri({optionResponse, #{acceptedOptions => [], declinedOptions => [Ack]}})}
        ].

notifications() ->
    National = #{countryCode => "SE"},
    Domain = {0, 4, 0, 2, 2, 0, 1, 6},
    Who = #{'network-Identifier' => #{'operator-Identifier' => <<"OP">>}},
    Full = #{
        domainID => Domain,
        lawfulInterceptionIdentifier => <<"LIID-2">>,
        communicationIdentifier => Who,
        timeStamp => {utcTime, "231114221320Z"},
        'national-HI1-ASN1parameters' => National,
        'target-Information' => <<"tel:+46">>
    },
    Bare = #{lawfulInterceptionIdentifier => <<"LIID-2">>, timeStamp => local("20231114221320.123456Z")},
    [
        {"hi1-activated", hi1({liActivated, Full})},
        {"hi1-deactivated", hi1({liDeactivated, Bare})},
        {"hi1-modified", hi1({liModified, Bare#{timeStamp := {utcTime, "9911142313+0100"}}})},
        {"hi1-alarm", hi1({'alarms-indicator', #{
            timeStamp => local("20231115001320+0200"), 'alarm-information' => <<"full">>}})},
        {"hi1-alarm-full", hi1({'alarms-indicator', #{
            domainID => Domain, communicationIdentifier => Who, timeStamp => local("20231114221320Z"),
            'alarm-information' => <<"full">>, lawfulInterceptionIdentifier => <<"LIID-2">>,
            'national-HI1-ASN1parameters' => National}})},
        {"hi1-national", hi1({'national-HI1-ASN1parameters', National})}
    ].

others() ->
    Inner = encode('EncryptedPayload', #{byteCounter => 16#FFFFFFFFFFFFFFFF, payload => {cCPayloadSequence, [cc()]}}),
    Packet = #{encryptionType => 'national-option', encryptedPayload => <<"secret">>},
    [
        {"encrypted-none", pdu({encryptionContainer, #{
            encryptionType => none, encryptedPayload => Inner, encryptedPayloadType => part5}})},
        {"encrypted-national", pdu({encryptionContainer, Packet})},
        {"encrypted-3des", pdu({encryptionContainer, Packet#{
            encryptionType := 'threedes-cbc', encryptedPayloadType => part7}})},
        {"other-umts", pdu({cCPayloadSequence, [cc(), #{cCContents => {uMTSCC, <<"packet">>}}]})},
        {"other-hi4", pdu({hI4Payload, [{hi4Notification, {liActivated, #{interceptType => iriAndCc}}}]})}
    ].
