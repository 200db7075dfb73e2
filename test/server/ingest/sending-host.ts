import { encodeFailureBatch, type Failure } from "../../../shared/failure-batch.ts";
import { subjects } from "../../../shared/subjects.ts";
import { connectAgent, type TestAgent, type TestNats } from "../../support/nats.ts";

/** Sooner than real agents: a test must not wait for their patience. */
const resendMs = 300;

/** The sending half of an agent: one batch in flight, sent again unchanged until it is acknowledged. */
export class SendingHost implements AsyncDisposable {
  readonly host: string;
  readonly #agent: TestAgent;
  readonly #resends: NodeJS.Timeout;
  #sequence = 0;
  #inFlight: Readonly<{ payload: string; acknowledged: PromiseWithResolvers<void> }> | undefined;
  /** Lines sent, once each. */
  lines = 0;

  private constructor(agent: TestAgent) {
    this.host = agent.host;
    this.#agent = agent;
    agent.connection.subscribe(subjects.down(agent.host, "ack"), {
      callback: (_error, message) => {
        const { sequence } = message.json<{ sequence: number }>();
        if (sequence >= this.#sequence) this.#inFlight?.acknowledged.resolve();
      },
    });
    this.#resends = setInterval(() => this.#publish(), resendMs);
  }

  static async connect(nats: TestNats, host: string): Promise<SendingHost> {
    return new SendingHost(await connectAgent(nats, host));
  }

  /** Resolves when the coordinator has it for good. */
  async send(failures: readonly Failure[]): Promise<void> {
    this.#sequence += 1;
    this.lines += failures.reduce((sum, failure) => sum + failure.count, 0);
    const payload = encodeFailureBatch({ epoch: "life1", sequence: this.#sequence, failures, localBans: [] });
    this.#inFlight = { payload, acknowledged: Promise.withResolvers() };
    this.#publish();
    await this.#inFlight.acknowledged.promise;
    this.#inFlight = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#resends);
    await this.#agent[Symbol.asyncDispose]();
  }

  #publish(): void {
    if (this.#inFlight === undefined) return;
    this.#agent.connection.publish(subjects.failures(0, this.host), this.#inFlight.payload);
  }
}
