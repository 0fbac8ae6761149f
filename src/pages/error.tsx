import { type PageModel, renderPage, type Tone } from './layout.tsx'
import { ButtonLink } from './parts.tsx'

export interface ErrorModel extends PageModel {
  /** HTTP status, which chooses the heading. */
  readonly status: number
  /** What happened, from the error table; a sentence that gives nothing away. */
  readonly sentence: string
  /** Class of the failure for whoever looks into it: `ERR_UPSTREAM_TIMEOUT`. */
  readonly errorCode?: string
  /** The time limit that was reached, by its key: `timeout (30s)`. */
  readonly limit?: string
  /** What exactly was found, for whoever runs the application. */
  readonly detail?: string
  /** What they write in the configuration if it is to be let through. */
  readonly advice?: string
  readonly application?: string
  readonly wayOn?: { readonly href: string; readonly label: string }
}

interface StatusWords {
  readonly heading: string
  readonly whatToDo: string
  readonly tone: Tone
}

const GENERAL: StatusWords = {
  heading: 'Something went wrong',
  whatToDo: 'Try again. If it stays this way, tell your administrator and quote the request number below.',
  tone: 'stop',
}

const WORDS: Readonly<Record<number, StatusWords>> = {
  400: {
    heading: 'That request did not work',
    whatToDo: 'Go back to where you came from and start again.',
    tone: 'stop',
  },
  404: {
    heading: 'There is nothing at this address',
    whatToDo: 'Check the address for a typing mistake, or ask whoever gave it to you.',
    tone: 'stop',
  },
  405: {
    heading: 'That cannot be done here',
    whatToDo: 'Go back to where you came from.',
    tone: 'stop',
  },
  408: {
    heading: 'Your request did not arrive',
    whatToDo: 'Check your connection, then send it again.',
    tone: 'wait',
  },
  413: {
    heading: 'That is too large',
    whatToDo: 'Go back and send less at once.',
    tone: 'stop',
  },
  429: {
    heading: 'Too many requests',
    whatToDo: 'Wait a minute, then try again.',
    tone: 'wait',
  },
  431: {
    heading: 'Your browser sent too much',
    whatToDo: 'Delete the cookies of this site in your browser, then open it again.',
    tone: 'stop',
  },
  502: {
    heading: 'The application cannot be reached',
    whatToDo: 'Your access is not the problem, the application behind it is. Try again in a minute.',
    tone: 'wait',
  },
  503: {
    heading: 'Not available right now',
    whatToDo: 'This usually passes by itself. Try again in a minute.',
    tone: 'wait',
  },
  504: {
    heading: 'The application takes too long',
    whatToDo: 'Your access is not the problem, the application behind it is. Try again in a minute.',
    tone: 'wait',
  },
}

/** Everything that is neither a refusal nor an unknown: what happened, its class, and a way on. */
export function errorPage(model: ErrorModel): string {
  const { status, sentence, errorCode, limit, detail, advice, application, wayOn } = model
  const { heading, whatToDo, tone } = WORDS[status] ?? GENERAL
  return renderPage(model, {
    title: heading,
    tone,
    badge: application === undefined ? `Error ${status}` : `${application} · error ${status}`,
    heading,
    children: (
      <>
        <p class="lead">{sentence}</p>
        <section>
          <h2>What you can do</h2>
          <p>{whatToDo}</p>
          {errorCode !== undefined && (
            <p class="note">
              For whoever looks into it: <code>{errorCode}</code>
              {limit !== undefined && (
                <>
                  , limit <code>{limit}</code>
                </>
              )}
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
              <ButtonLink href={wayOn.href}>{wayOn.label}</ButtonLink>
            </div>
          )}
        </section>
      </>
    ),
  })
}
