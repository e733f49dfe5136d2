/** A program whose standard input and output are a TcpEnd. Its argument says what it does with it. */
import process from "node:process";
import { stdioEnd } from "../stdio_end.ts";

const { end, closed } = stdioEnd();
const say = (text: string) => process.stderr.write(`${text}\n`);
let received = 0;
const over = () => {
  end.close();
  void closed.then(() => process.exit());
};

switch (process.argv[2]) {
  // Sends back what comes, and ends when that ends.
  case "echo":
    end.start({
      data: (bytes) => end.write(bytes, () => {}) || end.pause(),
      end() {
        end.end();
        over();
      },
      drain: () => end.resume(),
      broken() {
        say("broken");
        process.exit(1);
      },
    });
    break;
  // Ends its output at once, and then says on standard error how much still came.
  case "sink":
    end.start({
      data: (bytes) => void (received += bytes.length),
      end() {
        say(`received ${received}`);
        over();
      },
      drain() {},
      broken: () => say("broken"),
    });
    end.write(new TextEncoder().encode("bye"), () => say("taken"));
    end.end();
    break;
  // Writes 8 MiB once its input has ended.
  case "late":
    end.start({
      data() {},
      end() {
        end.write(new Uint8Array(8 * 2 ** 20), () => {});
        end.end();
        over();
      },
      drain() {},
      broken: () => say("broken"),
    });
    break;
  // Writes for ever.
  case "source": {
    const chunk = new Uint8Array(65536);
    const pump = () => {
      while (end.write(chunk, () => {}));
    };
    end.start({
      data() {},
      end() {},
      drain: pump,
      broken() {
        say("broken");
        process.exit(1);
      },
    });
    pump();
    break;
  }
}
