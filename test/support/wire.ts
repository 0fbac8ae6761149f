import { connect } from 'node:net'

/** One answer as it came, header names in lower case. */
export interface WireAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** False: the connection ended inside this answer. */
  readonly complete: boolean
  readonly header: (name: string) => string | undefined
}

export interface WireOptions {
  /** Methods of the requests sent, for answers without a body; GET unless given. */
  readonly methods?: readonly string[]
  /** Once this was read the client hangs up: for what the server keeps open. */
  readonly until?: RegExp
  /** Address of this end, another one of loopback. */
  readonly from?: string
  /** How long the server may take to close the connection, in milliseconds. */
  readonly patience?: number
}

/**
 * Sends exactly these bytes (strings are Latin-1) on one connection and reads until the server closes it: so every
 * answer is seen, those that should not exist too. Rejects when the connection is still open after `patience`.
 */
export function sendRaw(
  port: number,
  bytes: string | Buffer,
  { methods = [], until, from, patience = 20_000 }: WireOptions = {},
): Promise<readonly WireAnswer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', ...(from !== undefined && { localAddress: from }) })
    const text = (): string => Buffer.concat(chunks).toString('latin1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`still open after ${patience} ms; read so far: ${JSON.stringify(text().slice(0, 500))}`))
    }, patience)
    socket.on('connect', () => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (until?.test(text())) socket.destroy()
    })
    // A reset ends the connection like any other end.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(parseAnswers(text(), methods))
    })
  })
}

/** Every answer on a closed connection; 1xx ones are left out. */
export function parseAnswers(text: string, methods: readonly string[] = []): readonly WireAnswer[] {
  const answers: WireAnswer[] = []
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n')
    const [line = '', ...fields] = (end === -1 ? rest : rest.slice(0, end)).split('\r\n')
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1])
    if (Number.isNaN(status)) throw new Error(`not an answer: ${JSON.stringify(rest.slice(0, 200))}`)
    const headers = fields.map((field): readonly [string, string] => {
      const colon = field.indexOf(':')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
    })
    const header = (name: string): string | undefined => headers.find(([known]) => known === name)?.[1]
    const after = end === -1 ? '' : rest.slice(end + 4)
    if (status >= 100 && status < 200 && status !== 101) {
      rest = after
      continue
    }
    const bodyless = methods[answers.length] === 'HEAD' || status === 204 || status === 304
    const read = bodyless ? { body: '', rest: after, complete: true } : readBody(after, header)
    answers.push({ status, headers, body: read.body, complete: end !== -1 && read.complete, header })
    rest = read.rest
  }
  return answers
}

function readBody(text: string, header: (name: string) => string | undefined) {
  if (header('transfer-encoding')?.toLowerCase() === 'chunked') return readChunks(text)
  const length = header('content-length')
  if (length === undefined) return { body: text, rest: '', complete: true }
  const body = text.slice(0, Number(length))
  return { body, rest: text.slice(Number(length)), complete: body.length === Number(length) }
}

function readChunks(text: string): { readonly body: string; readonly rest: string; readonly complete: boolean } {
  let body = ''
  for (let rest = text; ; ) {
    const line = rest.indexOf('\r\n')
    const size = line === -1 ? Number.NaN : Number.parseInt(rest.slice(0, line), 16)
    if (Number.isNaN(size)) return { body, rest: '', complete: false }
    if (size === 0) return { body, rest: rest.slice(line + 4), complete: true }
    body += rest.slice(line + 2, line + 2 + size)
    rest = rest.slice(line + 4 + size)
  }
}
