import { type ErrorCode, type ErrorInfo, ERRORS } from '../errors.ts'
import { type PageModel, renderPage, type Tone } from './layout.tsx'
import { outlook } from './outlook.ts'
import { ButtonLink, named } from './parts.tsx'

export interface ErrorModel extends PageModel {
  readonly code: ErrorCode
  /** HTTP status, where it is not the one of the code. */
  readonly status?: number
  /** What happened, where more is known than the error table says; a sentence that gives nothing away. */
  readonly sentence?: string
  /** The time limit that was reached, by its key: `timeout (30s)`. */
  readonly limit?: string
  /** What exactly was found, for whoever runs the application. */
  readonly detail?: string
  /** What they write in the configuration if it is to be let through. */
  readonly advice?: string
  readonly application?: string
  readonly wayOn?: { readonly href: string; readonly label: string }
}

interface Words {
  readonly heading: string
  /** Absent: it follows from who can mend it, and whether waiting helps. */
  readonly whatToDo?: string
}

const WORDS: Readonly<Record<number, Words>> = {
  400: { heading: 'That request did not work', whatToDo: 'Go back to where you came from and start again.' },
  404: {
    heading: 'There is nothing at this address',
    whatToDo: 'Check the address for a typing mistake, or ask whoever gave it to you.',
  },
  405: { heading: 'That cannot be done here', whatToDo: 'Go back to where you came from.' },
  408: { heading: 'Your request did not arrive', whatToDo: 'Check your connection, then send it again.' },
  413: { heading: 'That is too large', whatToDo: 'Go back and send less at once.' },
  429: { heading: 'Too many requests', whatToDo: 'Wait a minute, then try again.' },
  431: {
    heading: 'Your browser sent too much',
    whatToDo: 'Delete the cookies of this site in your browser, then open it again.',
  },
  502: { heading: 'The application cannot be reached' },
  503: { heading: 'Not available right now' },
  504: { heading: 'The application takes too long' },
}

/** Of what does not pass by itself. */
const NOT_AVAILABLE: Words = { heading: 'Not available' }
const NOT_SET_UP: Words = { heading: 'This site is not set up correctly' }
const GENERAL: Words = { heading: 'Something went wrong' }

/** Everything that is neither a refusal nor an unknown: what happened, who can mend it, its code, and a way on. */
export function errorPage(model: ErrorModel): string {
  const { code, limit, detail, advice, application, wayOn } = model
  const info: ErrorInfo = ERRORS[code]
  const { status = info.status, sentence = info.sentence } = model
  const { heading, whatToDo = outlook(info) } = wordsOf(status, info)
  return renderPage(model, {
    title: heading,
    tone: toneOf(info),
    badge: application === undefined ? `Error ${status}` : `${application} · error ${status}`,
    heading,
    code,
    children: (
      <>
        <p class="lead">{named(sentence, model)}</p>
        <section>
          <h2>What you can do</h2>
          <p>{whatToDo}</p>
          {limit !== undefined && (
            <p class="note">
              The limit that was reached: <code>{limit}</code>
            </p>
          )}
          {detail !== undefined && <p class="note">{`For whoever runs the application: ${detail}.`}</p>}
          {advice !== undefined && (
            <p class="note">
              If its paths need that, write <code>{advice}</code> on its route.
            </p>
          )}
          {wayOn !== undefined && (
            <div class="actions">
              <ButtonLink href={wayOn.href} quiet={isInVain(info)}>
                {wayOn.label}
              </ButtonLink>
            </div>
          )}
        </section>
      </>
    ),
  })
}

function wordsOf(status: number, { at, waiting }: ErrorInfo): Words {
  if (waiting === 'in-vain' && status === 503) return NOT_AVAILABLE
  if (waiting === 'in-vain' && at === 'set-up') return NOT_SET_UP
  return WORDS[status] ?? GENERAL
}

/** Trying again at once brings the same: somebody else has to do something before. */
function isInVain({ at, waiting }: ErrorInfo): boolean {
  return waiting === 'in-vain' && at !== 'asker'
}

function toneOf({ waiting }: ErrorInfo): Tone {
  return waiting === 'helps' ? 'wait' : 'stop'
}
