import { z } from 'zod'
import { flag, url } from './fields.ts'

const COLOR = 'a colour such as #2454c8'
const color = z.string({ error: COLOR }).regex(/^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/, { error: COLOR })

/** Text of one line: what would be seen as something else, or not at all, has no place on a page. */
function line(most: number) {
  const error = `text of at most ${most} characters, in one line`
  return z
    .string({ error })
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u, { error })
    .max(most, { error })
}

/** What our own pages look like, and whom they name. */
export const pageKeys = {
  product_name: line(40).default('Postern').describe('Name at the top of our pages and in their titles.'),
  support_url: z
    .string({ error: 'an address that begins with https:// or mailto:' })
    .optional()
    .describe(
      'Where people ask for help when something does not work: an `https://` or `mailto:` address, linked on every page that says so.',
    ),
  troubleshooting_url: url
    .optional()
    .describe(
      'Where docs/troubleshooting.md is published for people: error codes on pages link to its sections (`#err_idp_client`). Default: codes are text.',
    ),
  show_error_details: flag
    .default(true)
    .describe('Say on the 403 page, and in the JSON of a 403, which rule refused somebody, and name groups.'),
  error_message_first_paragraph: line(500)
    .optional()
    .describe('Plain text at the top of every page that says that something does not work.'),
  logo_url: url.optional().describe('Picture beside the name at the top of our pages, at an https address.'),
  favicon_url: url.optional().describe('Icon of our pages in the tab of a browser, at an https address.'),
  primary_color: color
    .optional()
    .describe(
      'Buttons of our pages, `#2454c8`. What is written on them is black or white; a colour that is too near to the background is moved away from it.',
    ),
  secondary_color: color
    .optional()
    .describe('Links of our pages, moved as far as it takes to read them. Default: `primary_color`.'),
  darkmode_primary_color: color.optional().describe('`primary_color` where people want dark pages. Default: the same.'),
  darkmode_secondary_color: color
    .optional()
    .describe('`secondary_color` where people want dark pages. Default: `darkmode_primary_color`, else the same.'),
}
