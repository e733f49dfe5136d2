/**
 * Every bound of spanway in one place: value, unit, reason. `docs/limits.md` is the same list for people.
 * Names end in their unit: `_BYTES`, `_MS`, or a plain count.
 */

const KiB = 1024;
const MiB = 1024 * KiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// --- CBOR and frames -------------------------------------------------------------------------------------------------

/** One control message. Tickets and edge lists fit many times over; a stranger can make us hold no more than this. */
export const CONTROL_MESSAGE_MAX_BYTES = 64 * KiB;
/** The CBOR header at the start of a stream. */
export const STREAM_HEADER_MAX_BYTES = 4 * KiB;
/** A request or response head: 128 KiB is what Cloudflare allows; long header lists of real apps stay far below. */
export const HTTP_HEAD_MAX_BYTES = 128 * KiB;
/** Header fields in one head (names and values together are twice that in CBOR items). */
export const HTTP_HEADERS_MAX = 2000;
/** Payload of one DATA frame. Larger writes are split. */
export const DATA_FRAME_MAX_BYTES = 1 * MiB;
/** Payload of one ABORT frame. */
export const ABORT_FRAME_MAX_BYTES = 1 * KiB;
/** Nesting of CBOR from a stranger: no message of ours needs more than 4. */
export const CBOR_MAX_DEPTH = 8;
/** CBOR items (every key, value, element) in one control message. */
export const CBOR_MAX_ITEMS = 4096;
/** Buffer of a read that waits: what an idle stream costs. */
export const READ_IDLE_BYTES = 2 * KiB;
/** Buffer of a read while data keeps coming. */
export const READ_BULK_BYTES = 64 * KiB;
/** Bytes queued for one stream before its producer is asked to wait. */
export const STREAM_QUEUE_BYTES = 256 * KiB;

// --- Sessions --------------------------------------------------------------------------------------------------------

/** From the first packet to WELCOME, for either side. */
export const HANDSHAKE_TIMEOUT_MS = 10 * SECOND;
/** A refused peer has this long to read why before its session or socket is closed. */
export const REFUSAL_LINGER_MS = 500;
/** Sessions of one edge that have not shown a ticket yet. Beyond it new ones are refused. */
export const EDGE_PENDING_SESSIONS_MAX = 512;
/** Shares on one edge. At 210 KiB each the idle ones take 2 GiB. */
export const EDGE_SESSIONS_MAX = 10_000;
/** Silence over UDP before the fallback over TCP starts beside it: three round trips of a bad mobile network. */
export const FALLBACK_AFTER_MS = 1.5 * SECOND;
/** Bidirectional streams a peer may have open: far above 8/7 of the long-lived ones, as QUIC returns credit late. */
export const SESSION_STREAMS_MAX = 4096;
/** How long opening a stream may wait for credit. */
export const STREAM_OPEN_TIMEOUT_MS = 10 * SECOND;
/**
 * A silent peer is dead after this; QUIC notices up to a keep-alive later. Links are to be resumed within 5 s of an edge's
 * death: what is left is for finding the next one.
 */
export const SESSION_IDLE_TIMEOUT_MS = 2.2 * SECOND;
/** Keep-alive interval: a third of the idle timeout, so that two lost packets kill nothing. */
export const SESSION_KEEP_ALIVE_MS = 0.7 * SECOND;
/** Datagrams queued for a reader who is away; the oldest go first. */
export const DATAGRAM_QUEUE_MAX = 256;
/** The reason in a session's close, in UTF-8: what WebTransport over HTTP/3 carries. */
export const CLOSE_REASON_MAX_BYTES = 1 * KiB;
/** In-memory sessions: a datagram as large as the smallest QUIC path surely carries. */
export const MEMORY_DATAGRAM_MAX_BYTES = 1200;
/**
 * QMux: what one session may have in flight towards us in all: in effect no bound, as in QUIC. With a finite one the
 * library loses credit whenever a reader cancels in full flow (16 MiB: the session stands still after 16 of them), and
 * a few stuck readers stop everybody. SESSION_STREAMS_MAX and the stream window bound the memory.
 */
export const QMUX_SESSION_WINDOW_BYTES = 2 ** 50;
/** QMux: what one stream may have in flight: far below the session window, so that a stuck stream stops only itself. */
export const QMUX_STREAM_WINDOW_BYTES = 1 * MiB;
/** QMux: bytes handed to the WebSocket before writes wait, on a fast path. */
export const QMUX_SEND_BUFFER_BYTES = 8 * MiB;
/** QMux: the same on the slowest path: a few records, so that there is always one to send. */
export const QMUX_SEND_BUFFER_MIN_BYTES = 128 * KiB;
/** QMux: the send buffer holds what the path takes in this time: what is sent next on another stream waits that long. */
export const QMUX_SEND_AHEAD_MS = 100;
/** QMux: one record, which is one WebSocket message: the size that every peer must accept (draft-ietf-quic-qmux-02). */
export const QMUX_RECORD_MAX_BYTES = 16_382;
/** QMux: frames in one record. Ours carry one; each makes the library copy the rest of the record. */
export const QMUX_RECORD_FRAMES_MAX = 64;
/** QMux: a peer may ping this often, and this many times at once. A live one does at a third of SESSION_IDLE_TIMEOUT_MS. */
export const QMUX_PING_INTERVAL_MS = 500;
export const QMUX_PING_BURST = 32;
/** After its close a session's connection may linger this long for the last bytes, and a dead peer no longer. */
export const SESSION_CLOSE_LINGER_MS = 2 * SECOND;

// --- Lanes and connectors --------------------------------------------------------------------------------------------

/** A connector's address as the edge tells it to the share: the longest IPv6 address with a zone, and a port. */
export const LINK_FROM_MAX_CHARS = 64;
/** Connectors of one share, which is a team and some. A newcomer takes the place of one that has no lane. */
export const SHARE_CONNECTORS_MAX = 64;
/** Connectors on one edge. At 210 KiB each the idle ones take 0.8 GiB. */
export const EDGE_CONNECTORS_MAX = 4096;
/** Lanes of one connector: those of LINK_STREAMS_MAX connections, LINK_IDLE_LANES_MAX idle ones, and some that end. */
export const CONNECTOR_LANES_MAX = 1100;
/**
 * Lanes of all connectors of one share: what SESSION_STREAMS_MAX leaves beside SHARE_REQUESTS_MAX requests, idle HTTP
 * streams, and the eighth whose credit QUIC holds back.
 */
export const SHARE_LANES_MAX = 2400;
/**
 * Lanes on one edge. An idle one takes 80 KiB, which makes 1.5 GiB; one whose reader has stopped holds 2.3 MiB, which the
 * number cannot bound: those who fill lanes own both their ends, or the share's agent ends them.
 */
export const EDGE_LANES_MAX = 20_000;
/** A connector may have this many times as many lanes as are left, at its share and at the edge: nobody takes all. */
export const LANES_PER_FREE_LANE = 4;
/** The header of a connector's stream must have arrived by then: it is sent with the opening of the stream. */
export const LANE_HEADER_TIMEOUT_MS = 5 * SECOND;
/** Connectors that ask for admission from one address at once, and how fast that comes back: as for registrations. */
export const CONNECTS_PER_ADDRESS_BURST = 300;
export const CONNECTS_PER_ADDRESS_REFILL_MS = 500;
/** The same for one device key. */
export const CONNECTS_PER_KEY_BURST = 120;
export const CONNECTS_PER_KEY_REFILL_MS = 1 * SECOND;
/** Addresses, and keys, whose attempts to connect are counted; the longest idle is forgotten first. */
export const CONNECT_BUCKETS_MAX = 20_000;

// --- HTTP/3 ----------------------------------------------------------------------------------------------------------

/** One field section, encoded or decoded: requests for sessions are small. */
export const H3_FIELD_SECTION_MAX_BYTES = 16 * KiB;
/** Header fields in one field section. */
export const H3_FIELDS_MAX = 128;
/** A SETTINGS frame. */
export const H3_SETTINGS_MAX_BYTES = 1 * KiB;
/** An unknown frame or capsule that is skipped: peers send small ones to keep everybody tolerant. */
export const H3_SKIP_MAX_BYTES = 64 * KiB;
/**
 * Bidirectional streams that each client of a server may have open. Whether it connects, and needs CONNECTOR_LANES_MAX, is
 * not known yet when its connection is accepted; credit for an eighth may be held back. Each one allowed costs the server
 * 66 bytes per session whether it is used or not: an idle session takes 207 KiB with 1280 of them, 133 KiB with 128.
 */
export const H3_SERVER_STREAMS_MAX = 1280;
/** Unidirectional streams a peer may have open: three of HTTP/3, and room for those that are refused. */
export const H3_UNI_STREAMS_MAX = 32;
/** Streams whose header has not arrived, or not their session; beyond it no more are taken from the connection. */
export const H3_UNSORTED_STREAMS_MAX = 256;
/** How long a closed session waits for the peer to have read why. */
export const H3_CLOSE_LINGER_MS = 1 * SECOND;
/** A broken CONNECT stream waits this long for the end of its connection, which tells the cause. */
export const H3_RESET_GRACE_MS = 100;
/** Buffer of the read that waits on the CONNECT stream and of those on control streams. */
export const H3_READ_BYTES = 128;
/** Handshakes and requests for sessions in progress on one listener; beyond it connections are refused. A forged first
 * packet holds a place until SESSION_IDLE_TIMEOUT_MS is over. */
export const H3_PENDING_MAX = 2048;
/** Callers who wait for stream credit on one session. */
export const H3_OPEN_WAITERS_MAX = 1024;
/** Datagrams handed to QUIC and not sent yet; beyond it they are dropped. */
export const H3_DATAGRAMS_SENDING_MAX = 256;
/** An address of a host that does not answer is joined by the next one after this (RFC 8305). */
export const DIAL_STAGGER_MS = 250;
/** Addresses of one host that are tried. */
export const DIAL_ADDRESSES_MAX = 4;

// --- HTTP ------------------------------------------------------------------------------------------------------------

/** Requests in flight on one share; beyond it visitors get 503 at once. Below SESSION_STREAMS_MAX with room to spare. */
export const SHARE_REQUESTS_MAX = 1024;
/** Streams an agent serves at once: what a relay may ask for, and the idle ones it keeps. */
export const SHARE_STREAMS_MAX = 2048;
/** Idle HTTP streams kept for reuse per share. */
export const HTTP_IDLE_STREAMS_MAX = 64;
/** An idle HTTP stream is closed after this: its parked reads cost memory on both sides. */
export const HTTP_IDLE_STREAM_MS = 15 * SECOND;
/** Visitor sockets on one edge. */
export const VISITOR_SOCKETS_MAX = 8192;
/** Interim (1xx) heads of one answer: apps send one or two, and they are written without waiting for the visitor. */
export const INTERIM_HEADS_MAX = 16;
/** Requests that one visitor socket may have waiting behind the one that is answered (pipelining). */
export const PIPELINED_REQUESTS_MAX = 32;
/** A request body of which nothing arrives for this long, while we would take more, is given up. */
export const VISITOR_BODY_STALL_MS = 2 * MINUTE;
/** Unfinished bodies for the Worker from one address: agents and devices send them whole, in one packet or two. */
export const WORKER_BODIES_PER_ADDRESS_MAX = 64;
/** Connections from an edge to the Worker: each address's unfinished bodies many times over. */
export const WORKER_SOCKETS_MAX = 1024;
/** Visitor sockets on one edge that are between requests; beyond it the one that waits longest is cut. */
export const VISITOR_SOCKETS_WAITING_MAX = 4096;
/** A visitor must have sent the whole request head by then (slow-header attacks). */
export const VISITOR_HEAD_TIMEOUT_MS = 15 * SECOND;
/** A visitor's idle keep-alive connection. */
export const VISITOR_KEEP_ALIVE_MS = 65 * SECOND;
/** A visitor who takes none of the bytes waiting for him is cut after this. */
export const VISITOR_STALL_MS = 60 * SECOND;
/** Visitors on one edge who take nothing: each costs 4-5 MB of memory, so beyond it the one that waits longest is cut. */
export const VISITORS_STALLED_MAX = 256;
/** But nobody sooner than after this: slow networks take pauses. */
export const VISITOR_STALL_GRACE_MS = 5 * SECOND;
/** The origin must accept the connection by then (502 after it). */
export const ORIGIN_CONNECT_TIMEOUT_MS = 5 * SECOND;
/** Once the origin has the whole request it must send a response head by then (504 after it). Slow reports take minutes. */
export const ORIGIN_HEAD_TIMEOUT_MS = 120 * SECOND;
/** Connections kept open to the origin. */
export const ORIGIN_IDLE_SOCKETS_MAX = 64;

// --- Shares, names, tickets ------------------------------------------------------------------------------------------

/** Default life of a share. */
export const SHARE_TTL_MS = 1 * HOUR;
/** Shortest life of a share: less is a slip of the keyboard. */
export const SHARE_TTL_MIN_MS = 1 * SECOND;
/** Longest life of a share between two registrations. */
export const SHARE_TTL_MAX_MS = 7 * DAY;
/** A name stays with its key this long after its share has ended. */
export const NAME_QUARANTINE_MS = 7 * DAY;
/** DNS label. */
export const NAME_MAX_CHARS = 63;
/** Chosen names shorter than this are too easy to hit by chance. */
export const NAME_MIN_CHARS = 4;
/** Life of a ticket: enough for a slow network and a second try. */
export const TICKET_TTL_MS = 2 * MINUTE;
/** Clock difference that a ticket check forgives. Agents also learn the service's clock. */
export const TICKET_LEEWAY_MS = 1 * MINUTE;
/** Size of an encoded ticket. */
export const TICKET_MAX_BYTES = 2 * KiB;
/** The audience of a ticket: scheme, the longest host name of DNS (253) and a port. */
export const TICKET_AUDIENCE_MAX_CHARS = 270;

// --- Service ---------------------------------------------------------------------------------------------------------

/** Body of an API request. */
export const API_BODY_MAX_BYTES = 64 * KiB;
/** A body beyond that is read on and thrown away up to here, so that the sender gets to read why. */
export const API_BODY_DISCARD_MAX_BYTES = 1 * MiB;
/** One call to the service's API. */
export const API_TIMEOUT_MS = 10 * SECOND;
/** An edge that was not heard of for this long is not handed to agents. */
export const EDGE_TTL_MS = 90 * SECOND;
/** Events that wait until a relay has said that it is ready: agents that were quicker to come back. */
export const EARLY_EVENTS_MAX = 1000;
/** The file of the key that a service and its edges share: 43 characters and a line end. */
export const SERVICE_KEY_MAX_BYTES = 1 * KiB;
/** Files in a backup: two for each share that a service remembers, and some. A list of more is no backup of ours. */
export const BACKUP_FILES_MAX = 200_000;
/** The list of files in a backup: 200 bytes for each. */
export const BACKUP_MANIFEST_MAX_BYTES = 64 * MiB;
/** What the files of a backup may take together: a relay's state is far smaller, and a forged backup fills no disk. */
export const BACKUP_CONTENT_MAX_BYTES = 64 * 1024 * MiB;
/** How often an edge says that it is there. */
export const EDGE_HEARTBEAT_MS = 30 * SECOND;
/** Origins by which agents reach an embedded service: more than the addresses of any ordinary machine. */
export const SERVICE_ORIGINS_MAX = 64;
/** Edges of one service. */
export const EDGES_MAX = 256;
/** Edges of which one share is told, and that an agent takes: it tries one after the other. */
export const SHARE_EDGES_MAX = 64;
/** How old the Worker's list of live edges may be: a lookup for every request that is passed on would halve the rate. */
export const EDGE_LIST_CACHE_MS = 1 * SECOND;
/** Text fields of an edge's report: ids, regions, addresses. */
export const EDGE_FIELD_MAX_CHARS = 300;
/** Certificate hashes of one edge: the one in use, the one before and the one after it. */
export const EDGE_CERT_HASHES_MAX = 8;
/** What an agent may tell about its share (JSON). */
export const SHARE_META_MAX_BYTES = 2 * KiB;
/** Used tickets that one share remembers. They live for TICKET_TTL_MS and a leeway: more than one a second is a fault. */
export const SHARE_TICKETS_MAX = 256;
/** Edges that a share still has to tell that their session is over. */
export const SHARE_OWED_DETACHES_MAX = 8;
/** Tries to tell an edge so; the wait doubles from DETACH_RETRY_MS on. Afterwards the edge is held to be dead. */
export const DETACH_ATTEMPTS_MAX = 6;
export const DETACH_RETRY_MS = 1 * SECOND;
/** One such call. */
export const DETACH_TIMEOUT_MS = 5 * SECOND;
/** Registrations from one address at once, and how fast they come back: an office behind one NAT, not a flood. */
export const REGISTRATIONS_PER_ADDRESS_BURST = 300;
export const REGISTRATIONS_PER_ADDRESS_REFILL_MS = 500;
/** The same for one device key: a device that comes back from a bad network tries every few seconds per share. */
export const REGISTRATIONS_PER_KEY_BURST = 120;
export const REGISTRATIONS_PER_KEY_REFILL_MS = 1 * SECOND;
/** Addresses and keys whose registrations are counted; the longest idle is forgotten first. */
export const REGISTRATION_BUCKETS_MAX = 20_000;
/** Names that one Worker isolate knows to be registered without asking again. */
export const KNOWN_NAMES_MAX = 20_000;
/** For how long. */
export const KNOWN_NAMES_CACHE_MS = 1 * MINUTE;
/** Parts of the index of registered names. Fixed: another number would lose the index. */
export const NAME_INDEX_PARTS = 16;
/** workerd reads this much of a body that the Worker does not want before it closes the connection. */
export const WORKER_BODY_GRACE_BYTES = 64 * KiB;
/** Larger bodies wait this long for the Worker's refusal: sent at once they could cost the visitor the answer. */
export const WORKER_REFUSAL_MS = 200;
/** workerd must be listening by then. It takes 20-80 ms; a machine that swaps takes longer. */
export const WORKERD_START_TIMEOUT_MS = 30 * SECOND;
/** workerd ends within this after a polite signal, or is killed: it waits 15 s for connections that have said nothing. */
export const WORKERD_STOP_TIMEOUT_MS = 1 * SECOND;
/** Waits before workerd is started again: first, longest; the first again once it has run for the longest. */
export const WORKERD_RESTART_FIRST_MS = 50;
export const WORKERD_RESTART_MAX_MS = 10 * SECOND;
/** Lines of workerd's output that are kept for the error message when it fails to start. */
export const WORKERD_OUTPUT_KEPT_LINES = 40;
/** Reasons for which an edge counts whom it turns away. Ours are a few dozen. */
export const REFUSAL_REASONS_MAX = 64;
/** A reason is told at most this often: a flood of strangers must not become a flood of lines. */
export const REFUSAL_REPORT_MS = 1 * SECOND;
/** How often an edge closes idle streams, ends expired shares and cuts visitors who take nothing. */
export const EDGE_SWEEP_MS = 1 * SECOND;
/** How often an edge looks whether its QUIC certificate is due for renewal. */
export const CERTIFICATE_CHECK_MS = 1 * HOUR;
/** First and longest wait before an agent tries again; each wait is jittered between half and all of it. */
export const RECONNECT_FIRST_MS = 250;
export const RECONNECT_MAX_MS = 5 * SECOND;

// --- A share's sessions in its Durable Object ----------------------------------------------------------------------------

/** Sessions with one share's object that have not shown a ticket yet: its agent's, and those of a few who connect. */
export const OBJECT_PENDING_MAX = 32;
/**
 * Control sockets of one share, those with them that we have closed and their peers have not: Workers have no way to drop
 * one. Its agent has one, two while it comes back.
 */
export const OBJECT_CONTROL_SOCKETS_MAX = 4096;
/** Those from one address: whoever leaves sockets half closed keeps himself out first. */
export const OBJECT_CONTROL_SOCKETS_PER_ADDRESS_MAX = 64;
/** Sessions with an object of which nothing but the WebSocket is there yet: more are turned away. */
export const OBJECT_ACCEPTING_MAX = 1024;
/** Those from one address. */
export const OBJECT_ACCEPTING_PER_ADDRESS_MAX = 256;
/** Connectors of a share in its object, and their lanes: an isolate has 128 MB. */
export const OBJECT_CONNECTORS_MAX = 64;
export const OBJECT_LANES_MAX = 1024;
/** What one stream may have in flight towards the object: a hundred stuck ones keep 12 MiB. */
export const OBJECT_STREAM_WINDOW_BYTES = 128 * KiB;
/** How often it looks for idle streams and for the share's end. */
export const OBJECT_SWEEP_MS = 1 * SECOND;
/** Streams that an agent may open towards it: lanes of links. */
export const OBJECT_STREAMS_MAX = 1280;
/** The Worker takes a share to be in its object for so long before it asks again: an answer saves a call per request. */
export const SHARE_PLACE_CACHE_MS = 1 * SECOND;
/**
 * A silent peer of a session in the object is dead after this. Its end comes with the socket's: longer than over UDP, so
 * that nobody is cut while everybody comes back at once.
 */
export const OBJECT_IDLE_TIMEOUT_MS = 8 * SECOND;
/** Connectors whose session in the object was lost come back within this, each at a moment of its own. */
export const OBJECT_RETURN_SPREAD_MS = 1.5 * SECOND;
/** A session that no connector, request or idle stream is on for so long is let go; its agent dials again when asked. */
export const OBJECT_QUIET_MS = 10 * SECOND;
/** A visitor or connector waits so long for the session that the agent is asked to dial. Shorter than a handshake. */
export const DIAL_TIMEOUT_MS = 8 * SECOND;
/** A visitor waits so long for a share that was attached a moment ago: its agent is on the way to another place. */
export const AWAY_GRACE_MS = 5 * SECOND;
/** Visitors and connectors of one share who wait for its agent: each holds a request open. */
export const OBJECT_WAITERS_MAX = 256;
/** An agent says "ping" on its control socket this often; the runtime answers without waking the object. */
export const CONTROL_PING_MS = 15 * SECOND;
/** A control socket without an answer for so long is dead. */
export const CONTROL_SILENCE_MS = 40 * SECOND;
/** How often an agent that is asked to dial tries, before it leaves it to the next visitor. */
export const DIAL_ATTEMPTS_MAX = 3;
/** How often an agent whose share is in use in its object asks whether there is an edge by now. */
export const EDGE_LOOKOUT_MS = 15 * SECOND;
/** The wait doubles with each edge that it could not get to, this often. */
export const EDGE_LOOKOUT_DOUBLINGS_MAX = 6;
/** The body of an answer up to this size is handed to the visitor whole, if all of it has come with its head. */
export const ANSWER_WHOLE_MAX_BYTES = 64 * KiB;
/** Requests and WebSockets in flight in a share's object; beyond it visitors get 503 at once. One that waits takes 120 KB. */
export const OBJECT_REQUESTS_MAX = 256;
/**
 * Visitors of an object who take nothing of their answers: 40 take at most 36 MB, a quarter of an isolate. Beyond it the one that
 * waits longest is cut.
 */
export const OBJECT_STALLED_MAX = 40;
/**
 * One WebSocket message through an object, either way; a larger one ends in close code 1009. It is in memory whole, and
 * three times over while it is turned into frames. Workers carry up to 32 MiB; apps cut what is larger than this.
 */
export const WEBSOCKET_MESSAGE_MAX_BYTES = 4 * MiB;
/** Unfinished messages, and those that wait for the origin, of all WebSockets of an object: a quarter of an isolate. */
export const OBJECT_WEBSOCKETS_MAX_BYTES = 32 * MiB;
/**
 * A second of messages to one visitor, after a burst. Workers do not tell what waits for a visitor: one who takes nothing
 * fills an isolate no faster than this, and whoever watches a film is still served.
 */
export const WEBSOCKET_PACE_BYTES = 4 * MiB;
export const WEBSOCKET_BURST_BYTES = 8 * MiB;
/** Once either side of a WebSocket has said its last, the origin has this long to close the connection. */
export const WEBSOCKET_CLOSE_MS = 10 * SECOND;

// --- Links -----------------------------------------------------------------------------------------------------------

/** Payload of one record of a link: large enough that its cost per byte is small, small enough to be opened at once. */
export const LINK_RECORD_MAX_BYTES = 64 * KiB;
/** A control message of a link: a list of 10,000 ports fits. */
export const LINK_CONTROL_MAX_BYTES = 64 * KiB;
/** A question over a link, and an answer: keys and records of a few hundred bytes. */
export const LINK_ASK_MAX_BYTES = 8 * KiB;
/** Questions of one link that wait for their answers. One person asks one at a time. */
export const LINK_ASKS_MAX = 8;
/** An answer may need the share service: its time-out, twice. */
export const LINK_ASK_TIMEOUT_MS = 30 * SECOND;
/** Ports of one protocol in a list of those that a share listens on. */
export const LINK_PORTS_MAX = 2000;
/** Connections in one link at once; more wait for a place. */
export const LINK_STREAMS_MAX = 1024;
/** Connections that wait for a place; beyond it they are refused. */
export const LINK_WAITING_MAX = 16_384;
/** What one connection may have on its way at first, and keep in memory on each side: 128 MiB for all of a link. */
export const LINK_STREAM_WINDOW_BYTES = 128 * KiB;
/** What a fast one may grow to: 40 MB/s over a round trip of 100 ms. */
export const LINK_STREAM_WINDOW_MAX_BYTES = 4 * MiB;
/** What a record that is kept costs in memory beside its bytes: one of a single byte is counted as what it is. */
export const LINK_RECORD_COST_BYTES = 256;
/** Pieces below this are put together while they wait for a local end that takes nothing. */
export const LINK_SMALL_PIECE_BYTES = 4 * KiB;
/** A window doubles when half of it was used within this. */
export const LINK_WINDOW_GROW_MS = 500;
/** Memory of one link for windows beyond LINK_STREAM_WINDOW_BYTES, and the same again for what waits to be acknowledged. */
export const LINK_BUDGET_BYTES = 64 * MiB;
/** The same for all links of a share together: beyond it no window grows, and a stream keeps only the least. */
export const LINKS_BUDGET_BYTES = 256 * MiB;
export const LINK_STREAM_LEAST_BYTES = 16 * KiB;
/** Then links are ended for which more is kept than this many times what they acknowledge in LINK_TICK_MS, so often. */
export const LINK_STALLED_FACTOR = 8;
export const LINK_STALLED_TICKS = 3;
/** Acknowledged at the latest after so much was taken, however wide the window is. */
export const LINK_ACK_BYTES = 512 * KiB;
/** How often a link acknowledges leftovers, looks for idle flows and counts the time without a path. */
export const LINK_TICK_MS = 1 * SECOND;
/** LINK_TICK_MS that an answer may take: after so many a lane, or the whole path, is held to swallow what it is given. */
export const LINK_SILENT_TICKS = 12;
/** How often the round trip of a link is measured. */
export const LINK_PING_MS = 5 * SECOND;
/** Pings of local programs that wait for the share's answer, and how long: ping itself gives up sooner. */
export const LINK_ECHOES_MAX = 64;
export const LINK_ECHO_TIMEOUT_MS = 10 * SECOND;
/** Lanes kept for the next connection, and how long. */
export const LINK_IDLE_LANES_MAX = 64;
export const LINK_IDLE_LANE_MS = 15 * SECOND;
/** Lanes of one link at the shared side: every connection has one, idle ones and those that were just left come on top. */
export const LINK_LANES_MAX = 1536;
/** First and longest wait before a connection whose lane broke tries another on the same path. */
export const LINK_LANE_RETRY_MS = 20;
export const LINK_LANE_RETRY_MAX_MS = 1 * SECOND;
/** Lanes that broke in a row, after which the path itself is given up. */
export const LINK_LANE_FAILURES_MAX = 24;
/** How long a link lives without a path, and its connections with it: a meeting-room change, a coffee, a relay's restart. */
export const LINK_RESUME_WINDOW_MS = 10 * MINUTE;
/** The longest that may be asked for. */
export const LINK_RESUME_WINDOW_MAX_MS = 24 * HOUR;
/** Links to one share. */
export const LINKS_MAX = 64;
/** Those that one session of a connector may have, ours has one; and those of one device, which may run a few commands. */
export const LINKS_PER_CHANNEL_MAX = 4;
export const LINKS_PER_DEVICE_MAX = 8;
/** Handshakes of links under way with one connector, and with all of a share. */
export const LINK_HANDSHAKES_PER_CHANNEL_MAX = 4;
export const LINK_HANDSHAKES_MAX = 64;
/** Handshakes that one connector may begin: so many at once, then one in this time. Each takes 1-2 ms of a core. */
export const LINK_HANDSHAKES_BURST = 8;
export const LINK_HANDSHAKE_REFILL_MS = 500;
/** And all of a share: after a restart everybody comes at once; one in this time is 10 % of a core. */
export const LINK_HANDSHAKES_SHARE_BURST = 128;
export const LINK_HANDSHAKE_SHARE_REFILL_MS = 20;
/** Buffers of a lane's reads: while it waits, while much comes in; and how many of the large ones are kept for the next. */
export const LANE_READ_IDLE_BYTES = 2 * KiB;
export const LANE_READ_BULK_BYTES = 256 * KiB;
export const LANE_BUFFERS_KEPT = 16;
/** Attempts to reach an edge that run at once: a dead address keeps silent for long, the next may answer at once. */
export const ATTACH_ATTEMPTS_MAX = 8;
/** The next attempt joins those that run after this; the wait grows by half up to the longest. */
export const ATTACH_STAGGER_MS = 200;
export const ATTACH_STAGGER_MAX_MS = 4 * SECOND;
/** Shares whose identity one device remembers, and the size of one such memory. */
export const KNOWN_SHARES_MAX = 10_000;
export const KNOWN_SHARE_MAX_BYTES = 4 * KiB;
/** A connector that does not say how it is connected is shown to the share's owner after this. */
export const PEER_TOLD_AFTER_MS = 2 * SECOND;
/** A connector whose path comes and goes is told of once in this time. */
export const PEER_LINE_MS = 1 * SECOND;
/** Connections that failed without a byte, of one connector: so many are told at once, then one in this time. */
export const FAILURES_TOLD_BURST = 200;
export const FAILURES_TOLD_REFILL_MS = 200;
/** Connections that the system holds until we take them: where they are more, Linux lets some hang for ever. */
export const LISTEN_BACKLOG = 4096;
/** The same warning about a connection is not repeated within this; and so many different ones are remembered. */
export const WARNING_REPEAT_MS = 10 * SECOND;
export const WARNINGS_REMEMBERED_MAX = 256;
/** How long `connect` waits at its end for the share to have heard of it. */
export const CONNECT_GOODBYE_MS = 500;
/** `connect` waits so long for a share that is away just now before it says so and ends. */
export const CONNECT_AWAY_WAIT_MS = 10 * SECOND;
/** Connectors of one share's session whose datagrams are told apart: those of all its links, and some that come back. */
export const LINK_CHANNELS_MAX = 256;
/** Records of one turn of the event loop that are sent as one, in all: larger ones go alone, uncopied. */
export const LANE_GATHER_BYTES = 4 * KiB;
/** UDP flows of one link, half of what a share has for all; the one that is idle for longest makes room. */
export const LINK_FLOWS_MAX = 1024;
/** A flow without a datagram either way ends after this: two keep-alives of common NATs. */
export const LINK_FLOW_IDLE_MS = 2 * MINUTE;
/** A flow from which nothing has come back for so long says again where it leads. */
export const LINK_FLOW_RENEW_MS = 10 * SECOND;
/** The largest datagram of UDP over IPv4. */
export const LINK_DATAGRAM_MAX_BYTES = 65_507;
/** Datagrams too large for the path wait on a stream; beyond this they are dropped, as a router would. */
export const LINK_LARGE_DATAGRAMS_BYTES = 256 * KiB;
/** Lanes a datagram or a stream id may be late by (RFC 4303's window). */
export const LINK_REPLAY_WINDOW = 16_384;

// --- Links: handshake ------------------------------------------------------------------------------------------------

/** One message of the handshake between two agents: ours take 300 bytes, with room for fields that come later. */
export const LINK_HANDSHAKE_MAX_BYTES = 1 * KiB;
/** CBOR items in its payload: ours has nine. */
export const LINK_HANDSHAKE_MAX_ITEMS = 64;
/** Name and version of the peer's program, in its settings. */
export const LINK_AGENT_MAX_CHARS = 100;

// --- Connect: the local side -----------------------------------------------------------------------------------------

/** What waits for a local program that reads slowly, before the link is asked to wait too. */
export const LOCAL_BUFFER_BYTES = 256 * KiB;
/** Once a connection is over, such a program has this long to take the next byte of what waits for it. */
export const LOCAL_LINGER_MS = 2 * MINUTE;
/** Silence after which the system asks whether the peer of a local connection is still there. */
export const LOCAL_KEEP_ALIVE_MS = 1 * MINUTE;
/** Connections of one listener at once, those that wait for a place in the link with them; beyond it they are reset. */
export const LOCAL_CONNECTIONS_MAX = 16_384;
/** Peers of one UDP forward, or of one mirrored port; the one that is idle for longest makes room. */
export const LOCAL_FLOWS_MAX = 1024;
/** Forwards of one command: more are a mistake in a script. */
export const FORWARDS_MAX = 256;
/** Addresses in 127.77.0.0/16 that are tried for a share whose own one another connection uses. */
export const MAP_ADDRESSES_MAX = 64;
/** Datagrams of a flow that the far side refused are dropped for so long before it is asked again. */
export const FLOW_REFUSED_MS = 1 * SECOND;
/** Datagrams handed to the system and not sent yet; beyond it they are dropped. */
export const UDP_SENDING_MAX = 256;
/** After an error of the system a UDP socket receives on after this: errors can come in a row. */
export const UDP_ERROR_PAUSE_MS = 10;
/** A SOCKS client must have said where it wants to go by then. */
export const SOCKS_HANDSHAKE_TIMEOUT_MS = 15 * SECOND;
/** UDP associations of one SOCKS server at once: each costs a socket. */
export const SOCKS_ASSOCIATIONS_MAX = 256;
/** Targets of one association; the one that is idle for longest makes room. */
export const SOCKS_FLOWS_MAX = 256;
/** User name and password of a SOCKS server, each: one byte says how long it is (RFC 1929). */
export const SOCKS_AUTH_MAX_BYTES = 255;
/** The file they stand in. */
export const SOCKS_AUTH_FILE_MAX_BYTES = 1 * KiB;

/** Listeners of --map in all: a share lists 4,000 ports if it likes, and each is a descriptor here. */
export const PORT_MAP_MAX = 512;
/** From one change of what --map mirrors to the next. Ports that come and go in between are not seen. */
export const PORT_MAP_PACE_MS = 1000;

// --- Connect: the static IP ------------------------------------------------------------------------------------------

/** TCP connections of one static IP, those that are over and not forgotten with them; the longest idle makes room. */
export const TUN_CALLS_MAX = 16_384;
/** Those of them whose far side has not answered yet: a flood of SYNs costs 100 bytes each. */
export const TUN_HELD_MAX = 2048;
/** Those of them that the far side is asked for at once: half of a link's connections, so that a flood leaves room. */
export const TUN_ASKED_MAX = 512;
/** Those about one port: one that a firewall swallows stops only itself. */
export const TUN_ASKED_PER_PORT_MAX = 64;
/** Connections of one static IP: as many as its link has. Beyond it they are reset. */
export const TUN_OPEN_MAX = LINK_STREAMS_MAX;
/** The kernel must have accepted a connection by then whose far side has answered. */
export const TUN_ACCEPT_TIMEOUT_MS = 10 * SECOND;
/** Packets of a connection that is over are passed on for so long: TIME-WAIT of Linux. */
export const TUN_LINGER_MS = 1 * MINUTE;
/** How often such connections are looked through, and how exact the order of use is. */
export const TUN_SWEEP_MS = 2 * SECOND;
/** UDP flows of one static IP; the one that is idle for longest makes room. As many as a link has. */
export const TUN_FLOWS_MAX = LINK_FLOWS_MAX;
/** A packet that is sent to try the device must have been answered by the kernel by then. */
export const TUN_TRIAL_MS = 1 * SECOND;
/** A new IPv6 address can be used by then: Linux takes a moment for it. */
export const TUN_ADDRESS6_WAIT_MS = 2 * SECOND;
/** Whoever has the lock of an address has a device with it by then. */
export const TUN_LOCK_WAIT_MS = 500;
/** Addresses that are tried for one share. */
export const TUN_ADDRESSES_MAX = 250;
/** Another process that is just getting the address of the same share has it by then. */
export const TUN_ADDRESS_WAIT_MS = 5 * SECOND;
/** How often it is looked whether the device of an address is as it was. Reading the routes takes 50 us. */
export const TUN_WATCH_MS = 2 * SECOND;
/** How often a connection looks whether another one still carries the address of its share. */
export const TUN_CARRIED_POLL_MS = 1 * SECOND;
/** A namespace must have been made by then. */
export const INSIDE_START_TIMEOUT_MS = 10 * SECOND;
/** A command in a namespace that was asked to end has this long, shorter than INTERRUPT_GRACE_MS. */
export const INSIDE_GRACE_MS = 2 * SECOND;
/** The connections of a command that has ended are said goodbye to by then. */
export const INSIDE_SETTLE_MS = 500;
/** The file of host names: lists that block advertisements have a few MB. */
export const HOSTS_FILE_MAX_BYTES = 16 * MiB;
/** The memory of one share's address: a hundred bytes. */
export const TUN_RECORD_MAX_BYTES = 1 * KiB;
/** A label of DNS, and a name with the lengths of its labels (RFC 1035). */
export const DNS_LABEL_MAX_BYTES = 63;
export const DNS_NAME_MAX_BYTES = 255;
/** A query: a name, a few records of EDNS, padding to a multiple of 128 bytes. */
export const DNS_QUERY_MAX_BYTES = 1 * KiB;
/** What the length in front of a message over TCP can say. */
export const DNS_ANSWER_MAX_BYTES = 65_535;
/** How long programs may keep an address of ours, in seconds: it goes with the connection to the share. */
export const DNS_TTL_S = 5;
/** Connections to our DNS server, and how long an idle one is kept: hardly anybody asks us over TCP. */
export const DNS_CONNECTIONS_MAX = 64;
export const DNS_CONNECTION_IDLE_MS = 10 * SECOND;
/** Ports that are tried for it: one that is free for UDP may be taken for TCP. */
export const DNS_PORT_TRIES_MAX = 8;
/** Questions to other DNS servers on their way at once: each is a socket. */
export const DNS_FORWARDS_MAX = 256;
/** One such question, and one of the servers it is put to: resolvers wait for 5 s. */
export const DNS_FORWARD_TIMEOUT_MS = 4500;
export const DNS_SERVER_TIMEOUT_MS = 2 * SECOND;
/** A resolv.conf, and how many servers of it are asked: as many as the C library asks. */
export const RESOLV_CONF_MAX_BYTES = 64 * KiB;
export const RESOLV_CONF_SERVERS_MAX = 3;
/** The largest /etc/hosts that we change: the longest lists of advertisers have 10 MiB. */
export const HOSTS_MAX_BYTES = 64 * MiB;
/** The guard of a name waits so long for others that change the same file; each is done in 0.1 s. */
export const NAME_GUARD_LOCK_WAIT_MS = 6 * SECOND;
/** How often it begins again when somebody else changes the file meanwhile. */
export const NAME_GUARD_TURNS_MAX = 5;
/** Tries to undo what it did, every 10 s after the first few: an hour. The next guard does it after that. */
export const NAME_GUARD_UNDOS_MAX = 360;
/** It must have made a name known by then, and undone it: longer than it waits for others. */
export const NAME_GUARD_TIMEOUT_MS = 10 * SECOND;
/** What it says: a line. */
export const NAME_GUARD_SAYS_MAX_BYTES = 4 * KiB;
/** The system must have found a name by then that was made known to it: its resolvers ask again after a second or two. */
export const NAME_FOUND_TIMEOUT_MS = 4 * SECOND;

/** UDP flows of one connector that its share's owner is told of in a row, and then one in each of these times. */
export const FLOWS_TOLD_BURST = 100;
export const FLOWS_TOLD_REFILL_MS = 1 * SECOND;

/** A loss is told after this, unless it turns out that the share has ended: one of the two is enough. */
export const TROUBLE_TOLD_AFTER_MS = 1 * SECOND;

// --- What a share lets in --------------------------------------------------------------------------------------------

/** A connection that a peer asked for must stand by then, the lookup of its name included. */
export const REACH_CONNECT_TIMEOUT_MS = 10 * SECOND;
/** Connections being set up at once: each is a socket and half-open at somebody else's door. */
export const REACH_DIALS_MAX = 256;
/** Those of one link: it holds up no other. */
export const REACH_DIALS_PER_LINK_MAX = 48;
/** Those of one link to one host: a host that swallows everything stops only itself. */
export const REACH_DIALS_PER_HOST_MAX = 32;
/** Of REACH_DIALS_MAX, kept for links that have fewer than these: a few links at their limit hold up nobody else. */
export const REACH_DIALS_KEPT = 64;
export const REACH_DIALS_FEW = 4;
/** Connections that wait for their turn; beyond it they are refused. A few links at their limit fit. */
export const REACH_DIALS_WAITING_MAX = 16_384;
/** And nobody waits for longer than this. */
export const REACH_DIAL_WAIT_MS = 30 * SECOND;
/** Connections that a share keeps for all its peers: eight links at their limit, below the descriptors of a process. */
export const REACH_CONNECTIONS_MAX = 8192;
/** Names being looked up at once. A lookup that hangs holds a thread and cannot be taken back. */
export const REACH_LOOKUPS_MAX = 64;
/** UDP flows of all peers of a share: each is a socket with a buffer of up to 64 KiB. The link with most makes room. */
export const REACH_FLOWS_MAX = 2048;
/** Datagrams of one flow that wait until its host has been looked up. */
export const REACH_FLOW_EARLY_MAX = 16;
/** How often the flows are looked through for idle ones. */
export const REACH_FLOW_SWEEP_MS = 1 * SECOND;
/** How old the list of this machine's own addresses may be. Reading it takes 40 us. */
export const OWN_ADDRESSES_CACHE_MS = 1 * SECOND;
/** From one list of this machine's UDP sockets to the next, while flows ask whether a port is closed. It takes 5-15 ms. */
export const UDP_LISTENERS_PACE_MS = 100;
/** A flow from which nothing has come asks again after this. */
export const UDP_LISTENER_AGAIN_MS = 5 * SECOND;
/** Rules of --allow-host, all of which are tried for every connection. */
export const REACH_RULES_MAX = 256;
/** Connectors of a share that its owner is not told of as new ones again. */
export const PEERS_REMEMBERED_MAX = 1000;
/** How often the ports that this machine listens on are listed, while somebody mirrors them. It takes 5-15 ms. */
export const LISTENING_POLL_MS = 2 * SECOND;
/** The program that lists them must be done by then. */
export const LISTENING_TIMEOUT_MS = 5 * SECOND;
/** Its output: 40,000 sockets. */
export const LISTENING_OUTPUT_MAX_BYTES = 4 * MiB;
/** Lists in a row that failed, after which nobody is told of ports any more. */
export const LISTENING_FAILURES_MAX = 3;

// --- Command line ----------------------------------------------------------------------------------------------------

/** Text waiting for a slow terminal or pipe; beyond it request lines are dropped and counted, nothing ever waits. */
export const OUTPUT_QUEUE_MAX_CHARS = 1 * MiB;
/** Text of any kind waiting; beyond it everything is dropped. Results and errors are few, so this is never reached. */
export const OUTPUT_QUEUE_HARD_MAX_CHARS = 8 * MiB;
/** Lines are gathered this long before they are written: at 10,000 lines/s one write carries 50 of them. */
export const OUTPUT_FLUSH_MS = 5;
/** How long the end of a command waits for a terminal or pipe that takes nothing. */
export const OUTPUT_END_TIMEOUT_MS = 500;
/** How long a share that is interrupted tries to tell the service that it is over. */
export const GOODBYE_TIMEOUT_MS = 2 * SECOND;
/** An agent that was stopped waits so long for the sessions that its share's object had asked for to end. */
export const GOODBYE_SESSIONS_MS = 500;
/** How long a command may take to end after the first interrupt. */
export const INTERRUPT_GRACE_MS = 5 * SECOND;
/** A key file: PEM of one ed25519 key takes 120 bytes. */
export const KEY_FILE_MAX_BYTES = 4 * KiB;
/** One record of a running share: a name, a service and a target. */
export const RUNNING_RECORD_MAX_BYTES = 16 * KiB;
/** Living shares of one target at one service that are remembered. */
export const RUNNING_SLOTS_MAX = 32;
/** A killed share that nobody started again is forgotten after this: its name has left quarantine by then. */
export const RUNNING_RECORD_TTL_MS = 14 * DAY;
/** Records looked at when old ones are removed. */
export const RUNNING_SWEEP_MAX = 500;
/** A process on the same machine that lives answers within this. */
export const ALIVE_PROBE_TIMEOUT_MS = 1 * SECOND;
/** One request to a running share of this machine, or its answer: a list of SSH_SESSIONS_MAX logins fits. */
export const OWNER_MESSAGE_MAX_BYTES = 64 * KiB;
/** A running share answers its owner within this: nothing is asked of it that takes a network. */
export const OWNER_ANSWER_TIMEOUT_MS = 5 * SECOND;
/** Commands that ask one running share at the same time. */
export const OWNER_CALLS_MAX = 16;
/** Processes that ask at the same time whether we live. */
export const ALIVE_PROBES_MAX = 64;
/** The secret that a service shares with its edges: shorter ones can be guessed. */
export const SERVICE_KEY_MIN_CHARS = 16;
/** Longer than any key; bounds what is read and compared. */
export const SERVICE_KEY_MAX_CHARS = 512;
/** Life of an edge's QUIC certificate: browsers accept a certificate by its hash only below 14 days. */
export const CERTIFICATE_LIFE_MS = 13 * DAY;
/** Certificates begin this long in the past, for peers whose clock is behind. */
export const CERTIFICATE_BACKDATE_MS = 1 * HOUR;
/** The next certificate is made and announced this long before the current one ends. */
export const CERTIFICATE_RENEW_MS = 4 * DAY;
/** The next certificate is announced this long before it is used, so that everybody has heard of its hash. */
export const CERTIFICATE_ANNOUNCE_MS = 1 * HOUR;
/** A server on the same machine or network accepts a connection within this. */
export const PROBE_CONNECT_TIMEOUT_MS = 1500;
/** A web server answers a probe within this, unless it is busy building a page. */
export const PROBE_ANSWER_TIMEOUT_MS = 1500;

// --- Shared folders --------------------------------------------------------------------------------------------------

/** Names in one path: deeper folders exist nowhere, deeper paths are an attack. */
export const FOLDER_PATH_DEPTH_MAX = 64;
/** Entries on one page of a folder: more is unreadable, and every one costs a look at the disk. */
export const FOLDER_LISTING_MAX = 5000;
/** Files looked at side by side for one page. */
export const FOLDER_STAT_CONCURRENCY = 16;

// --- Demo page -------------------------------------------------------------------------------------------------------

/** Visitors whom the demo keeps informed at once; it is for trying out. */
export const DEMO_VISITORS_MAX = 500;
/** Shortest time between two pieces of news: any number of waves in between are one. */
export const DEMO_NEWS_MIN_MS = 100;
/** One message to the echo. */
export const DEMO_ECHO_MAX_BYTES = 64 * KiB;
/** What may wait for a visitor who sends to the echo and does not read it. */
export const DEMO_ECHO_BACKLOG_MAX_BYTES = 1 * MiB;

// --- SSH -------------------------------------------------------------------------------------------------------------

/** A sealed private key at the service: an encrypted ed25519 key in OpenSSH's form takes 460 bytes. */
export const SSH_KEY_MAX_BYTES = 4 * KiB;
/**
 * Rounds of bcrypt between a password and its key. ssh-keygen's own 16 are doubled, for keys that leave the machine: a guess
 * costs a tenth of a second in C, and a second in JavaScript, which is what a login takes.
 */
export const SSH_KEY_ROUNDS = 32;
/** Nobody may name more in a key that we are given: 5 seconds in which this process does nothing else. */
export const SSH_KEY_ROUNDS_MAX = 128;
/** ssh-keygen makes a key in a second, on a busy machine in a few. */
export const SSH_KEY_MAKE_TIMEOUT_MS = 20 * SECOND;
/** Shorter passwords can be guessed, whatever they are made of. */
export const SSH_PASSWORD_MIN_CHARS = 10;
/** Longer than anybody types; ssh-keygen takes 1023 bytes, and a character needs up to three. */
export const SSH_PASSWORD_MAX_CHARS = 256;
/** What guessing a password must take, as a power of two: at a thousand guesses a second 2^40 last 35 years. */
export const SSH_PASSWORD_MIN_BITS = 40;
/** Passwords that somebody at a terminal may try, or think of. */
export const SSH_PASSWORD_TRIES = 3;
/** Typed or pasted behind the answer to one hidden question, and kept for the next one. */
export const TERMINAL_AHEAD_MAX_BYTES = 4 * KiB;
/**
 * A share whose key was erased is opened again after this, so that its files are closed once more: workerd closes them 10 s
 * after the last work, and a service that was killed before that starts with them as they were. Doubled until they have
 * been closed, because other platforms take minutes.
 */
export const SSH_ERASED_REOPEN_MS = 15 * SECOND;
/** SSH connections of one share at once: as many as it takes links. */
export const SSH_SESSIONS_MAX = 64;
/** Connections of one device that have not logged in yet: programs that copy in parallel make several at once. */
export const SSH_LOGINS_PER_DEVICE_MAX = 16;
/** Who has claimed the only login has this long to log in: ssh has decided and connects at once. */
export const SSH_ONCE_LOGIN_MS = 2 * MINUTE;
/** Connections on which the only login may be tried: a network that fails in the middle should not cost it. */
export const SSH_ONCE_TRIES_MAX = 3;
/** A connection that has lasted so long has logged in, whatever its other end says: sshd waits no longer for a login. */
export const SSH_LOGIN_GRACE_MS = 2 * MINUTE;
/** One that has brought this much has logged in as well: an exchange of keys and a refusal take 6 KiB each way. */
export const SSH_LOGIN_SURE_BYTES = 16 * KiB;
/** The trial login of a share at its own SSH server. A busy machine takes seconds for it; sshd itself gives two minutes. */
export const SSH_PROBE_TIMEOUT_MS = 20 * SECOND;
/** The host key of the built-in SSH server: an ed25519 key takes 400 bytes. */
export const SSH_HOST_KEY_FILE_MAX_BYTES = 4 * KiB;
/** A password file: one line. */
export const SSH_PASSWORD_FILE_MAX_BYTES = 4 * KiB;
/** Connections to the agent that holds the key: ssh makes one at a time. */
export const SSH_AGENT_CONNECTIONS_MAX = 8;
/** One message to the agent that holds the key: OpenSSH takes no longer ones either. */
export const SSH_AGENT_MESSAGE_MAX_BYTES = 256 * KiB;
/** After ssh has ended: for the last bytes of its connection, and for the service to say whether the share is over. */
export const LOGIN_GOODBYE_MS = 3 * SECOND;
/** Connections of ssh to the link that wait or go on: it makes one. */
export const SSH_PROXY_CONNECTIONS_MAX = 4;
/** Shares whose keys are kept for `ssh-config`; those that are over go first. */
export const SSH_HOSTS_MAX = 500;
/** When such a key may go: a number. */
export const SSH_HOST_RECORD_MAX_BYTES = 64;
/** A user name of a system: Linux allows 32 characters; names of directories such as me@corp.example are longer. */
export const SSH_USER_MAX_CHARS = 64;
/** Host keys of one SSH server: it has one of each kind. */
export const SSH_HOST_KEYS_MAX = 8;
/** One of them as text: 1500 characters hold RSA with 8192 bits. */
export const SSH_HOST_KEY_MAX_CHARS = 1500;
/** Public keys and other ways that one connection to the built-in SSH server may try; sshd allows as many. */
export const SSH_LOGIN_TRIES_MAX = 6;
/** Shells, commands and file transfers of one connection at once; whoever needs more opens another connection. */
export const SSH_PROGRAMS_MAX = 32;
/** Channels of one connection at once: a browser behind `ssh -D` has a hundred. */
export const SSH_CHANNELS_MAX = 200;
/** Ports that one connection may have forwarded to it with `ssh -R`. */
export const SSH_FORWARDS_MAX = 32;
/** Variables that a client may set for one session: there are 14 categories of a locale. */
export const SSH_ENV_MAX = 24;
/** The value of one. */
export const SSH_ENV_VALUE_MAX_CHARS = 256;
/** What is sent to a client waits in programs and sockets, not in memory, beyond this. */
export const SSH_OUTPUT_MARK_BYTES = 256 * KiB;
/** Answers that a client has caused and does not read; only one that means harm has as many. */
export const SSH_OUTPUT_MAX_BYTES = 16 * MiB;
/** What a client has sent on one channel and nobody has taken: ssh2 grants 2 MiB, and does not see to it. */
export const SSH_INPUT_MAX_BYTES = 4 * MiB;
/** Once the server has ended a connection, the client has this long to read what it was told last. */
export const SSH_GOODBYE_MS = 5 * SECOND;
/** Programs whose connection has gone have this long from SIGHUP to SIGKILL. */
export const SSH_HANGUP_MS = 3 * SECOND;
/** A terminal whose program has ended, and which has shown nothing for so long, has nothing more to show. */
export const SSH_TERMINAL_QUIET_MS = 200;
/** One packet of SFTP: what OpenSSH takes at most. */
export const SFTP_PACKET_MAX_BYTES = 256 * KiB;
/** Bytes of a file in one packet: a packet, less its head. */
export const SFTP_DATA_MAX_BYTES = 255 * KiB;
/** Files and directories that one SFTP session has open: `sftp -r` has one directory open for each level. */
export const SFTP_HANDLES_MAX = 128;
/** Names in one answer: 100 of the longest fit into a packet. */
export const SFTP_NAMES_MAX = 100;
/** Tags behind keys of ours in authorized_keys: `spanway:`, the name of a share, and digits. */
export const SSH_TAG_MAX_CHARS = 128;
/** Paths of authorized_keys and of folders: what Linux takes. */
export const SSH_PATH_MAX_CHARS = 4096;
/** An authorized_keys that is copied: 10,000 long lines take 8 MiB. */
export const SSH_AUTHORIZED_KEYS_MAX_BYTES = 16 * MiB;
/** A lock beside authorized_keys that does not change hands for so long was left by a killed run: one takes well under 1 s. */
export const SSH_PLACE_LOCK_STALE_MS = 10 * SECOND;
/** Waiting for that lock, which changes hands: dozens of shares that start together. */
export const SSH_PLACE_LOCK_WAIT_MS = 45 * SECOND;
/** Times that authorized_keys may have been changed by somebody else while a new one was written. */
export const SSH_PLACE_TURNS_MAX = 5;
/** Putting a key in its place on this machine: the wait for the lock, twice. */
export const SSH_PLACE_TIMEOUT_MS = 90 * SECOND;
/** The same on another host: its owner may be asked for a passphrase, and Vagrant takes seconds to start. */
export const SSH_PLACE_REMOTE_TIMEOUT_MS = 4 * MINUTE;
/** Taking away what killed shares have left at one place: the share that starts waits for it, and the next one tries again. */
export const SSH_PLACE_SWEEP_TIMEOUT_MS = 30 * SECOND;
/** A program that was asked to end cleans up in this time; then it is killed. */
export const SSH_PLACE_KILL_MS = 2 * SECOND;
/** The rest of the output of a program that has ended: one that it left behind may keep the pipe open. */
export const SSH_PLACE_DRAIN_MS = 1 * SECOND;
/** Output of a program that puts a key in its place: a few lines, and what login scripts say. */
export const SSH_PLACE_OUTPUT_MAX_BYTES = 256 * KiB;
/** Its last complaints: one is shown. */
export const SSH_PLACE_ERRORS_MAX_BYTES = 8 * KiB;
/** Keys of this machine at the places of others that are remembered: some shares, and those that were killed in a week. */
export const SSH_PLACEMENTS_MAX = 100;
/** One of them: two paths at most. */
export const SSH_PLACEMENT_MAX_BYTES = 16 * KiB;
/** A key that cannot be taken away is forgotten after this: no share lasts longer, and its expiry has ended it. */
export const SSH_PLACEMENT_TTL_MS = SHARE_TTL_MAX_MS;
