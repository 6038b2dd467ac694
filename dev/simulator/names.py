"""Names for worlds: real public names of institutions, invented ones of people and subjects."""

from __future__ import annotations

# id | name | time zone | language id | country
_CAMPUSES = """
1|Paris|Europe/Paris|1|France
9|Lyon|Europe/Paris|1|France
12|19|Europe/Brussels|1|Belgium
13|Helsinki|Europe/Helsinki|2|Finland
14|Amsterdam|Europe/Amsterdam|2|Netherlands
16|Khouribga|Africa/Casablanca|1|Morocco
20|São-Paulo|America/Sao_Paulo|6|Brazil
21|Benguerir|Africa/Casablanca|1|Morocco
22|Madrid|Europe/Madrid|11|Spain
25|Quebec|America/New_York|1|Canada
26|Tokyo|Asia/Tokyo|13|Japan
28|Rio de Janeiro|America/Sao_Paulo|6|Brazil
29|Seoul|Asia/Seoul|2|South Korea
30|Rome|Europe/Rome|7|Italy
31|Angouleme|Europe/Paris|1|France
32|Yerevan|Asia/Yerevan|2|Armenia
33|Bangkok|Asia/Bangkok|2|Thailand
34|Kuala Lumpur|Asia/Kuala_Lumpur|2|Malaysia
35|Amman|Europe/Istanbul|2|Jordan
36|Adelaide|Australia/Adelaide|2|Australia
37|Malaga|Europe/Madrid|11|Spain
38|Lisboa|Europe/Lisbon|6|Portugal
39|Heilbronn|Europe/Berlin|5|Germany
40|Urduliz|Europe/Madrid|11|Spain
41|Nice|Europe/Paris|1|France
43|Abu Dhabi|Asia/Dubai|2|United Arab Emirates
44|Wolfsburg|Europe/Berlin|5|Germany
45|Alicante|Europe/Madrid|11|Spain
46|Barcelona|Europe/Madrid|11|Spain
47|Lausanne|Europe/Zurich|1|Switzerland
48|Mulhouse|Europe/Paris|1|France
49|Istanbul|Europe/Istanbul|2|Türkiye
50|Kocaeli|Europe/Istanbul|2|Türkiye
51|Berlin|Europe/Berlin|5|Germany
52|Florence|Europe/Rome|7|Italy
53|Vienna|Europe/Vienna|5|Austria
55|Tétouan|Africa/Casablanca|1|Morocco
56|Prague|Europe/Prague|2|Czechia
57|London|Europe/London|2|United Kingdom
58|Porto|Europe/Lisbon|6|Portugal
59|Luxembourg|Europe/Luxembourg|1|Luxembourg
60|Perpignan|Europe/Paris|1|France
61|Belo Horizonte|America/Sao_Paulo|6|Brazil
62|Le Havre|Europe/Paris|1|France
64|Singapore|Asia/Singapore|2|Singapore
65|Antananarivo|Indian/Antananarivo|1|Madagascar
67|Warsaw|Europe/Warsaw|15|Poland
68|Luanda|Africa/Algiers|6|Angola
69|Gyeongsan|Asia/Seoul|2|South Korea
71|Beirut|Asia/Beirut|2|Lebanon
72|Milano|Europe/Rome|7|Italy
73|IskandarPuteri|Asia/Kuala_Lumpur|2|Malaysia
75|Rabat|Africa/Casablanca|1|Morocco
76|Al-Aïn|Asia/Dubai|2|United Arab Emirates
"""
CAMPUSES = [line.split("|") for line in _CAMPUSES.strip().splitlines()]

# Referenced by rows, missing from the index: the last two are active but not public.
UNLISTED_CAMPUSES = {
    2: "Lille",
    5: "Bucharest",
    6: "Kishinev",
    7: "Fremont",
    8: "Dnipro",
    10: "Grand-Est",
    11: "Hack High School - Fremont ",
    15: "Cluj",
    17: "Moscow",
    23: "Kazan",
    42: "42Network",
    54: "42 Central",
}

# id, name, slug, kind, year of birth
CURSUS = [
    (1, "42", "42", "main_deprecated", 2014),
    (3, "Discovery Piscine", "discovery-piscine", "piscine_community", 2015),
    (4, "Piscine C", "piscine-c", "piscine_deprecated", 2015),
    (8, "WeThinkCode_", "wethinkcode_", "main_deprecated", 2015),
    (9, "C Piscine", "c-piscine", "piscine", 2015),
    (10, "Formation Pole Emploi", "formation-pole-emploi", "main_deprecated", 2015),
    (18, "Starfleet", "starfleet", "external_deprecated", 2017),
    (21, "42cursus", "42cursus", "main", 2019),
    (69, "Python Piscine", "python-piscine", "piscine", 2023),
    (77, "Web Piscine", "web-piscine", "piscine", 2024),
    (79, "Discovery Piscine AI", "discovery-piscine-ai", "piscine", 2025),
    (80, "Discovery Piscine Web", "discovery-piscine-web", "piscine", 2025),
    (83, "Intermediate Python Application", "python-app", "professional_training", 2025),
    (84, "Intermediate Python Cloud", "python-cloud", "professional_training", 2025),
]

FIRST_NAMES = [
    "Ada",
    "Basil",
    "Cleo",
    "Dario",
    "Enzo",
    "Fern",
    "Gaël",
    "Héloïse",
    "Iñaki",
    "Jürgen",
    "Łucja",
    "Małgorzata",
    "Noor",
    "Øyvind",
    "Përparim",
    "Quentin",
    "Rosalía",
    "Søren",
    "Tomáš",
    "Ümit",
    "Víctor",
    "Wren",
    "Xiomara",
    "Yuki",
    "Zoë",
    "Anaïs",
    "Bjørn",
    "Chloé",
    "Đặng",
    "Émile",
    "François",
    "Günther",
    "İbrahim",
    "Jakub",
    "Kateřina",
    "Lætitia",
    "Mañuel",
    "Ngọc",
    "Olga",
    "Piotr",
]
LAST_NAMES = [
    "Example",
    "Sample",
    "Fiction",
    "Madeup",
    "Pretend",
    "Staffer",
    "Invented",
    "Imaginary",
    "O'Brien-Test",
    "D'Exemple",
    "Müster",
    "Świątek-Próba",
    "Ñandú",
    "Çelebi",
    "Ångström",
    "Żółć",
    "Garçon",
    "Straße",
    "Kovačević",
    "Dvořák",
    "Lefèvre",
    "Muñoz",
    "Niño",
    "Öberg",
    "Šimek",
    "Ťapák",
    "Van-der-Proef",
    "Wüst",
    "Yilmaz",
    "Zając",
]
EMOJI_NAME = "Zoë 🦊👩‍💻"

PROJECTS = [
    "Libft",
    "ft_printf",
    "get_next_line",
    "Born2beroot",
    "push_swap",
    "minitalk",
    "pipex",
    "so_long",
    "FdF",
    "fract-ol",
    "minishell",
    "Philosophers",
    "cub3d",
    "NetPractice",
    "CPP-Module-00",
    "CPP-Module-01",
    "CPP-Module-04",
    "Inception",
    "webserv",
    "ft_irc",
    "ft_containers",
    "ft_transcendence",
    "Exam-Rank-02",
    "Exam-Rank-03",
    "Exam-Rank-04",
    "Exam-Rank-05",
    "Internship-I",
    "Internship-I-Mid-Evaluation",
    "Internship-I-Final",
    "Part_Time-I",
    "Taskmaster",
    "ft_ls",
    "nm",
    "malloc",
    "darkly",
    "snow-crash",
    "rainfall",
    "kfs-1",
    "kfs-2",
    "gomoku",
]
SUBJECTS = [
    "matcha",
    "camagru",
    "hypertube",
    "red-tetris",
    "computorv",
    "expert-system",
    "ready-set-boole",
]
ACHIEVEMENTS = [
    "Welcome, Cadet !",
    "Code Explorer",
    "Grand Master",
    "Home is where the code is",
    "All work and no play",
    "Attendee",
    "Bill Gates",
    "I'm reliable !",
    "Film buff",
    "Rigorous Basterd",
    "Speedrun ⏱️",
    "Clean Slate",
    "It's a rich man's world",
    "L'État c'est moi",
    "Perfect Examiner",
]
HOUSES = ["House of Processes", "House of Threads", "The Sharks", "Analysts", "The Order", "Blaze "]
COLORS = ("#70AF85", "#599ac2", "#82CCE0", "#00babc", "#c8a2c8 ", "#f5411c")
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
