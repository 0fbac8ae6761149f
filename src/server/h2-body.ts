import { AppError } from '../errors.ts'
import type { H2Stream } from '../wire/h2-stream.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import { Gathering } from './h2-gathering.ts'
import { LimitedBody } from './limited-body.ts'

/** The client stops when this waits for a reader, and what its window allows has come on top of it. */
const HELD = 64 * 1024

/** The body of a request. What comes after it was destroyed is dropped, and the client gets no more credit. */
export class H2Body extends LimitedBody {
  private readonly stream: H2Stream
  private readonly wanted: () => void
  private readonly gathering = new Gathering(this, (more) => this.onPushed(more))
  /** `full`: the client waits for us, and not the other way round. */
  private state: 'unwanted' | 'waiting' | 'full' | 'ended' = 'unwanted'

  /** @param wanted runs when somebody asks for the first piece: the moment for `100 Continue`. */
  constructor(stream: H2Stream, patience: BodyPatienceParts, wanted: () => void) {
    super(patience, HELD)
    this.stream = stream
    this.wanted = wanted
  }

  override get starving(): boolean {
    return this.state === 'waiting'
  }

  receive(piece: Buffer): void {
    if (this.count(piece)) this.gathering.receive(piece, this.state === 'waiting')
  }

  private onPushed(more: boolean): void {
    if (this.state !== 'waiting') return
    if (more) return this.stream.credit()
    this.state = 'full'
    this.patience.stop()
  }

  receiveEnd(): void {
    this.patience.stop()
    this.state = 'ended'
    this.gathering.release()
    this.push(null)
  }

  /** Nothing more comes. */
  lost(): void {
    if (this.state === 'ended') return
    this.destroy(new AppError('ERR_CLIENT_CLOSED', 'the client went away while it was sending'))
  }

  override _read(): void {
    if (this.state === 'ended' || this.state === 'waiting') return
    if (this.state === 'unwanted') this.wanted()
    this.state = 'waiting'
    this.patience.wait()
    this.stream.credit()
    this.gathering.release()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.patience.stop()
    done(error)
  }
}
