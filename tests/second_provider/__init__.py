"""A second simulated Unipile provider for tests: HTTP/1.1 on 127.0.0.1, v1 under /api/v1 and v2 under /v2.

    with SecondProvider(seed=7, mischief=0.2) as provider:
        provider.url        # 'http://127.0.0.1:PORT'
        provider.api_key    # what X-API-KEY must be
        provider.effects()  # the truth
        provider.calm()     # no mischief from now on
        provider.calls()    # what happened to each request

Any account id is an account from its first mention (unless `accounts` lists them), and any `urn:li:activity|share|
ugcPost:N` or bare number is a post; `set_account` and `set_post` make others, and make them ill. Keyword options:

- `seed`, `mischief`, `read_mischief` (default: as `mischief`), `kinds` and `without` (names out of KIND_NAMES);
- `visibility_lag`: at most so many seconds until something new shows in the reads; `page_size`;
- `clock_offset`: by how much the provider's own clock is ahead (its `Date`, its dates, its Retry-After dates);
- `api_key`: the accepted key (None: any that is not empty); `accounts`; `strict_ids=False`: any string is a post's id;
- `hang_seconds`: how long it hangs at most (at least six tenths of it);
- `shift_may_hide=True`: strangers' deletions between two pages may also skip an item of ours, as real offset paging
  does. Off by default, because then a clean walk to the end would be a lie.

What is promised: a documented clean refusal is never sent for something applied; a clean, complete read that begins
later than the visibility lag shows everything applied, with the true author and date.
"""

from .mischief import KIND_NAMES, READ_KINDS, WRITE_KINDS, Kind
from .server import SecondProvider
from .state import ACCOUNT_CONDITIONS, POST_CONDITIONS, Call, Effect

__all__ = [
    "ACCOUNT_CONDITIONS",
    "KIND_NAMES",
    "POST_CONDITIONS",
    "READ_KINDS",
    "WRITE_KINDS",
    "Call",
    "Effect",
    "Kind",
    "SecondProvider",
]
