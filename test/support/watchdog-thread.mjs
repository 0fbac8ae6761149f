/** The thread of watchdog.ts. */
import { readdirSync, readFileSync, writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'

/** Seconds without a turn of the event loop, and for the whole file. */
const [STILL, WHOLE] = [180, 900]
const { beats, file } = workerData

let last = Atomics.load(beats, 0)
let still = 0
let whole = 0
const watch = setInterval(() => {
  const beat = Atomics.load(beats, 0)
  still = beat === last ? still + 1 : 0
  last = beat
  if (++whole < WHOLE && still < STILL) return
  clearInterval(watch)
  const found = still >= STILL ? `its event loop has stood still for ${still} s` : `it has not ended within ${WHOLE} s`
  const left = children()
  writeSync(2, `\nHANGS: ${file}: ${found}\n${left.map(({ command }) => `    child: ${command}\n`).join('')}`)
  // A thread that waits in a system call does not answer.
  setTimeout(end, 5_000, left)
  if (still >= STILL) printStack(() => end(left))
}, 1_000)

function end(left) {
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }
  process.kill(process.pid, 'SIGKILL')
}

function printStack(then) {
  const session = new Session()
  session.connectToMainThread()
  const scripts = new Map()
  session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params }) => {
    for (const { functionName, location } of params.callFrames) {
      writeSync(2, `    at ${functionName} ${scripts.get(location.scriptId)}:${location.lineNumber + 1}\n`)
    }
    then()
  })
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

function children() {
  try {
    return readdirSync(`/proc/${process.pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${process.pid}/task/${task}/children`, 'utf8').split(' '))
      .filter(Boolean)
      .map((pid) => ({ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }))
  } catch {
    return []
  }
}
