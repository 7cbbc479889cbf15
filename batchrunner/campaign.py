"""stub"""


class Campaign: ...
