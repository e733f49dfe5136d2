/** A channel and a connection of this machine, as one. */
import type { ServerChannel } from "ssh2";
import type { TcpEnd } from "../../../shared/link/ends.ts";
import { type OpenChannel, takesPackets } from "./channels.ts";
import { ChannelWriter } from "./channel_writer.ts";
import type { Pace } from "./pace.ts";

/**
 * Carries both directions, each until its own end, and frees the channel's place when it is over. A connection whose
 * client goes before it has ended is broken, so that what came through does not look complete.
 * @param end not yet started
 */
export function joinChannel(channel: ServerChannel, end: TcpEnd, place: OpenChannel, pace: Pace): void {
  const writer = new ChannelWriter(channel, pace, place.gone);
  /** The client has ended its direction. */
  let ended = false;
  /** The other one is still open. */
  let reading = true;
  let written: Promise<unknown> = Promise.resolve();
  place.reader = channel;
  channel.once("close", place.over);
  place.gone.addEventListener("abort", () => ended ? end.close() : end.reset(), { once: true });
  if (!takesPackets(channel)) {
    end.reset();
    channel.destroy();
    return;
  }
  const closeWhenOver = () => {
    if (!ended || reading || place.gone.aborted) return;
    channel.destroy();
    end.close();
  };
  channel.on("data", (bytes: Uint8Array) => {
    if (!end.write(bytes, () => {})) channel.pause();
  });
  channel.once("end", () => {
    ended = true;
    end.end();
    closeWhenOver();
  });
  end.start({
    data: (bytes) => {
      end.pause();
      written = writer.output(bytes).then(() => end.resume());
    },
    end: () => {
      void written.then(() => {
        reading = false;
        if (!place.gone.aborted) channel.eof();
        closeWhenOver();
      });
    },
    drain: () => channel.resume(),
    broken: () => {
      void written.then(() => {
        // SSH cannot say more than that it is over. The client's own end must still be read to be noticed.
        if (!place.gone.aborted) channel.destroy();
        channel.resume();
      });
    },
  });
}
