/** The two sides as people use them: in a terminal, with passwords that are typed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { testUnless } from "../support/needs.ts";
import { startRelay } from "../support/spanway.ts";
import { Colleague, PASSWORD, sshdArgs, startSshShare } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { TestTerminal } from "../support/terminal.ts";
import { withoutEdge } from "../support/service.ts";

testUnless(
  whyNoSshd() ?? withoutEdge("what a terminal shows is the agents' affair"),
  "two people: one types a password twice, the other once, and has a shell",
  async () => {
    await using relay = await startRelay();
    using sshd = await Sshd.start();
    using owner = new Colleague(relay);
    using colleague = new Colleague(relay);
    const before = readFileSync(sshd.authorizedKeys, "utf8");
    const words = [
      "share",
      "127.0.0.1:9",
      "--disable-http",
      "--ports",
      "none",
      ...sshdArgs(sshd),
      "--relay",
      relay.url,
    ];
    await using share = TestTerminal.spanway(words, { home: owner.home });
    await share.until(/password.*: $/i);
    share.type("password1\r");
    await share.until(/weak|guess/i);
    await share.until(/password.*: $/i);
    share.type(`${PASSWORD}\r`);
    await share.until(/again.*: $/i);
    share.type("something else\r");
    await share.until(/not the same|differ/i);
    await share.until(/password.*: $/i);
    share.type(`${PASSWORD}\r`);
    await share.until(/again.*: $/i);
    share.type(`${PASSWORD}\r`);
    const [, code] = await share.until(/connect --ssh (\S+)/);
    assert.ok(code);
    await share.until(/Ctrl-C ends/);

    await using login = TestTerminal.spanway(["connect", "--ssh", code, "--relay", relay.url], {
      home: colleague.home,
    });
    await login.until(/password.*: $/i);
    login.type("wrong one\r");
    await login.until(/password.*: $/i);
    login.type(`${PASSWORD}\r`);
    await share.until(/logged in/);
    login.type("stty -echo; PS1='ready''$ '\r");
    await login.until(/ready\$ /);
    login.type("echo pid-$$; tty\r");
    await login.until(/pid-\d+\r\n\/dev\/pts\/\d+/);
    login.resize(100, 33);
    login.type("sleep 0.2; stty size\r");
    await login.until(/33 100/);
    await login.until(/ready\$ /);
    // Ctrl-C is the shell's, there: once the command runs, it ends that.
    login.type("echo sleep''ing; sleep 100\r");
    await login.until(/sleeping\r\n/);
    login.type("\x03");
    await login.until(/ready\$ /);
    login.type("exit 9\r");
    assert.equal(await login.exited, 9);
    await share.until(/logged out/);

    for (const { shown } of [share, login]) assert.ok(!shown.includes(PASSWORD), "a password was shown");
    share.type("\x03");
    assert.equal(await share.exited, 130);
    assert.equal(readFileSync(sshd.authorizedKeys, "utf8"), before);
  },
);

testUnless(
  whyNoSshd() ?? withoutEdge("what a terminal shows is the agents' affair"),
  "three wrong passwords are enough, and Ctrl-C at a question ends it",
  async () => {
    await using relay = await startRelay();
    using sshd = await Sshd.start();
    using colleague = new Colleague(relay);
    await using share = await startSshShare({ relay, args: sshdArgs(sshd) });
    const words = ["connect", "--ssh", share.name, "--relay", relay.url];
    await using guesses = TestTerminal.spanway(words, { home: colleague.home });
    for (let i = 0; i < 3; i++) {
      await guesses.until(/password.*: $/i);
      guesses.type("wrong\r");
    }
    assert.equal(await guesses.exited, 4);
    await using given = TestTerminal.spanway(words, { home: colleague.home });
    await given.until(/password.*: $/i);
    given.type("\x03");
    assert.equal(await given.exited, 130);
  },
);
