/** What one connection of HTTP/2 writes: control frames at once, bodies in turn, as far as windows and the socket allow. */
import type { Socket } from 'node:net'
import { DEFAULT_WINDOW, MAX_FRAME } from './h2-frames.ts'

/** A stream that has something to send. */
export interface Sender {
  /** Appends one frame with at most `room` octets of body to the output; how many they were. undefined: it can send nothing now. */
  sendFrame(room: number): number | undefined
  /** Is there more to send, whether its window allows it or not? */
  readonly hasMore: boolean
}

/** Tells that the kernel has the octets, or that nobody ever will. */
export type Sent = (error?: Error | null) => void

/** Octets of bodies in one write. Other connections have their turn between two. */
const MAX_WRITE = 128 * 1024
/** Octets that wait for the socket, beyond which nothing more should be read. */
const MAX_QUEUED = 128 * 1024

export class Output {
  /** What the other side allows for the bodies of all streams. */
  window = DEFAULT_WINDOW
  /** Octets that wait for the socket. */
  queued = 0
  private parts: (string | Buffer)[] = []
  private sent: Sent[] = []
  private senders: Sender[] = []
  private writing = false
  private scheduled = false
  private readonly socket: Socket

  private readonly bodySent: () => void

  /** @param bodySent runs for each DATA frame. */
  constructor(socket: Socket, bodySent: () => void) {
    this.socket = socket
    this.bodySent = bodySent
  }

  /** Octets as they are, behind all that was put before. */
  put(part: string | Buffer, sent?: Sent): void {
    this.queued += part.length
    this.parts.push(part)
    if (sent) this.sent.push(sent)
    this.schedule()
  }

  whenSent(sent: Sent): void {
    this.sent.push(sent)
    this.schedule()
  }

  /** The other side asks faster than it reads. */
  get isFull(): boolean {
    return this.queued > MAX_QUEUED
  }

  /** It gets its turn. */
  add(sender: Sender): void {
    if (!this.senders.includes(sender)) this.senders.push(sender)
    this.schedule()
  }

  /** Windows or senders have changed. What several streams say in one turn of the event loop is one write. */
  schedule(): void {
    if (this.scheduled || this.writing) return
    this.scheduled = true
    setImmediate(flush, this)
  }

  flush(): void {
    this.scheduled = false
    if (this.writing) return
    this.takeTurns()
    this.write()
  }

  private takeTurns(): void {
    const stuck: Sender[] = []
    let room = MAX_WRITE
    for (let sender = this.senders.shift(); sender; sender = room > 0 ? this.senders.shift() : undefined) {
      const octets = sender.sendFrame(Math.min(room, this.window, MAX_FRAME))
      if (octets !== undefined) {
        this.window -= octets
        room -= octets
        this.bodySent()
      }
      if (sender.hasMore) (octets === undefined ? stuck : this.senders).push(sender)
    }
    this.senders.push(...stuck)
  }

  private write(): void {
    const { socket, parts, sent, queued } = this
    if (parts.length === 0 && sent.length === 0) return
    this.parts = []
    this.sent = []
    this.queued = 0
    this.writing = true
    const written = (error?: Error | null): void => {
      this.writing = false
      for (const tell of sent) tell(error)
      if (!error) this.flush()
    }
    // Text alone: heads and small answers.
    if (parts.every((part) => typeof part === 'string')) {
      socket.write(parts.join(''), 'latin1', written)
      return
    }
    const room = queued <= ROOM ? (rooms.pop() ?? Buffer.allocUnsafeSlow(ROOM)) : Buffer.allocUnsafeSlow(queued)
    let at = 0
    for (const part of parts) at += typeof part === 'string' ? room.write(part, at, 'latin1') : part.copy(room, at)
    socket.write(room.subarray(0, at), (error) => {
      if (room.length === ROOM && rooms.length < MAX_ROOMS) rooms.push(room)
      written(error)
    })
  }
}

/** Bodies are copied behind their frame heads: one copy costs less than a write of many buffers, or than a new buffer. */
const ROOM = MAX_WRITE + 32 * 1024
const MAX_ROOMS = 16
const rooms: Buffer[] = []

function flush(output: Output): void {
  output.flush()
}
